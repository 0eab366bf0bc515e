-- The ledger: orders, their events and their attempts. The only truth; jobs and notifications are hints.

CREATE TYPE order_status AS ENUM ('pending', 'routing', 'building', 'submitted', 'retrying', 'confirmed', 'failed');
CREATE TYPE attempt_outcome AS ENUM ('landed', 'failed', 'expired');

-- The lifecycle table of app/orders/lifecycle.py, written by `order-engine migrate`.
CREATE TABLE order_transitions (
    source order_status NOT NULL,
    target order_status NOT NULL,
    description text NOT NULL,
    PRIMARY KEY (source, target)
);

CREATE TABLE orders (
    id uuid PRIMARY KEY,                        -- UUIDv7, so newest first is the key's own order
    account text NOT NULL,                      -- who owns it
    idempotency_key text,                       -- NULL: the client gave none
    fingerprint bytea NOT NULL,                 -- of the request: tells a replay from another request
    type text NOT NULL,                         -- market
    token_in text NOT NULL,                     -- symbol
    token_out text NOT NULL,                    -- symbol
    amount_in numeric(20, 0) NOT NULL CHECK (amount_in > 0),  -- base units of token_in
    slippage_bps integer NOT NULL CHECK (slippage_bps BETWEEN 1 AND 5000),
    wallet text,
    scenario text,                              -- how simulated venues treat it (app/orders/scenarios.py); NULL: as the market is
    status order_status NOT NULL,
    sequence integer NOT NULL,                  -- number of the last event
    is_open boolean NOT NULL DEFAULT true,      -- status is not final; indexed, because an index on status would end HOT updates
    queued_at timestamptz,                      -- NULL: stored, not to be executed yet
    fence integer NOT NULL DEFAULT 0,           -- raised by each claim; a move under an older one is refused
    claimed_by bigint,                          -- worker that holds it; NULL: nobody
    deaths integer NOT NULL DEFAULT 0,          -- how many workers died while holding it
    attempt integer NOT NULL DEFAULT 0,         -- number of the attempt under way, from 1
    next_attempt_at timestamptz,                -- when a retrying order is due, by this server's clock
    venue text,                                 -- the route chosen last
    fee_bps integer,                            -- of that route
    quoted_out numeric(20, 0),                  -- base units of token_out that it promised
    min_out numeric(20, 0),                     -- base units of token_out below which the swap must not land
    signature text,                             -- of the last transaction
    amount_out numeric(20, 0),                  -- base units of token_out received
    failure_code text,
    failure_message text,
    funds_moved text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 30);                       -- room for the updates of an order's life on its own page

CREATE UNIQUE INDEX orders_idempotency_key ON orders (account, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX orders_open ON orders (id) WHERE is_open;
CREATE INDEX orders_by_wallet ON orders (wallet, id) WHERE wallet IS NOT NULL;
CREATE INDEX orders_failed ON orders (id) WHERE failure_code IS NOT NULL;

CREATE SEQUENCE order_log;

CREATE TABLE order_events (
    order_id uuid NOT NULL,                     -- of orders; see refuse_strays
    sequence integer NOT NULL,                  -- 1, 2, 3 … with no gap
    previous order_status,                      -- NULL for the first event; else (previous, status) is of order_transitions
    status order_status NOT NULL,
    data jsonb NOT NULL DEFAULT '{}',           -- what watchers see, as they see it
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    position bigint NOT NULL DEFAULT nextval('order_log'),  -- in the log of all orders: rises in the order of commits; see enter_log
    PRIMARY KEY (order_id, sequence),
    CHECK ((previous IS NULL) = (sequence = 1)),
    CHECK (sequence > 1 OR status = 'pending')
);

ALTER SEQUENCE order_log OWNED BY order_events.position;
CREATE UNIQUE INDEX order_events_position ON order_events (position);

-- One row: up to which position events may be missing, because they were deleted with their orders.
CREATE TABLE order_log_horizon (
    position bigint NOT NULL,
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only)
);
INSERT INTO order_log_horizon (position) VALUES (0);

-- Where the log can be followed from (after `oldest`), and where it ends. In an empty log both are where events were deleted.
CREATE VIEW order_log_ends AS
    SELECT h.position AS oldest, GREATEST(h.position, (SELECT max(e.position) FROM order_events e)) AS head
      FROM order_log_horizon h;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

-- At depth 0: an event disappears with its order only, by the cascade.
CREATE TRIGGER order_events_are_append_only BEFORE UPDATE OR DELETE ON order_events
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change();

-- Positions are drawn and committed by one transaction at a time, so that whoever reads up to a position never misses a
-- late commit below it (docs/decisions/0014). Fired before the first row is drawn; in the statements below that is after
-- all rows of orders are locked, so that nobody waits for an order while holding the log.
CREATE FUNCTION enter_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock('order_log'::regclass::bigint);
    RETURN NULL;
END $$;

CREATE TRIGGER order_events_enter_the_log BEFORE INSERT ON order_events
    FOR EACH STATEMENT EXECUTE FUNCTION enter_log();

CREATE TABLE order_attempts (
    order_id uuid NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    number integer NOT NULL,
    venue text NOT NULL,
    signature text NOT NULL UNIQUE,
    raw bytea NOT NULL,                         -- the signed transaction, to be sent again byte for byte
    min_out numeric(20, 0) NOT NULL,            -- base units of token_out
    last_valid_height bigint NOT NULL,          -- past it the chain refuses the transaction
    outcome attempt_outcome,                    -- NULL: not known yet
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    PRIMARY KEY (order_id, number)
);

-- Never two signatures alive for one order.
CREATE UNIQUE INDEX order_attempts_one_alive ON order_attempts (order_id) WHERE outcome IS NULL;


-- Workers whose heart beats. An order held by one of them is not taken over. (procrastinate_workers: see app/jobs.)
-- A server that has just started counts as a heartbeat of all: no worker could reach it before.
CREATE VIEW live_workers AS
    SELECT id FROM procrastinate_workers
     WHERE GREATEST(last_heartbeat, pg_postmaster_start_time()) > clock_timestamp() - interval '5 seconds';


-- The time as clients see it: ISO 8601, UTC, milliseconds.
CREATE FUNCTION iso_time(p_at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE RETURN
    to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');


-- What procrastinate writes down of each job's life: nobody reads it here, and it is deleted with its job.
ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_trigger_status_events_insert_v1;
ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_trigger_status_events_update_v1;
ALTER TABLE procrastinate_jobs DISABLE TRIGGER procrastinate_trigger_scheduled_events_v1;

-- Queues a look at these orders, in the caller's transaction: one job for all, due at once or at this time, which it
-- answers. (The queue and the task are those of app/jobs; the function is the one that procrastinate's client calls.)
CREATE FUNCTION queue_orders(p_orders uuid[], p_at timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    PERFORM procrastinate_defer_jobs_v1(ARRAY[ROW(
        -- What is due again goes first: it has had its turn in the line.
        'orders', 'execute_orders', CASE WHEN p_at IS NULL THEN 0 ELSE 1 END, NULL, NULL,
        jsonb_build_object('order_ids', p_orders), p_at
    )::procrastinate_job_to_defer_v1]);
    RETURN p_at;
END $$;


-- The foreign keys of order_events, to orders (deleted with them) and to order_transitions. Checked once per statement:
-- checked row by row they are a quarter of what an order's life costs this server (docs/decisions/0011).
CREATE FUNCTION refuse_strays() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = a.order_id)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an event of no order';
    END IF;
    IF EXISTS (SELECT FROM added a WHERE a.previous IS NOT NULL AND NOT EXISTS (
                   SELECT FROM order_transitions t WHERE t.source = a.previous AND t.target = a.status)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an event off the lifecycle';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION delete_events() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    WITH gone AS (DELETE FROM order_events e USING removed r WHERE e.order_id = r.id RETURNING e.position)
    UPDATE order_log_horizon h SET position = last.position
      FROM (SELECT max(g.position) AS position FROM gone g) AS last
     WHERE last.position > h.position;
    RETURN NULL;
END $$;

CREATE FUNCTION keep_transitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM removed r JOIN order_events e ON e.previous = r.source AND e.status = r.target) THEN
        RAISE foreign_key_violation USING MESSAGE = 'orders went along this transition';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER order_events_belong_somewhere AFTER INSERT ON order_events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_strays();
CREATE TRIGGER orders_take_their_events_along AFTER DELETE ON orders
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION delete_events();
CREATE TRIGGER order_transitions_are_kept AFTER DELETE ON order_transitions
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION keep_transitions();


-- Whatever writes events says so, once per statement: `order:sequence position status time data`, a line each, so that
-- whoever is up to date with an order need not read it. A payload holds less than 8,000 bytes: there are as many as it takes, and of an
-- event that is too long only `order:sequence`. It fires at commit, so the rows are visible first.
CREATE FUNCTION notify_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('order_events', string_agg(page.line, E'\n' ORDER BY page.number))
       FROM (SELECT l.line, l.number, sum(octet_length(l.line) + 1) OVER (ORDER BY l.number) / 6900 AS page
               FROM (SELECT CASE WHEN octet_length(w.line) < 1000 THEN w.line ELSE split_part(w.line, ' ', 1) END AS line, w.number
                       FROM (SELECT concat(a.order_id, ':', a.sequence, ' ', a.position, ' ', a.status, ' ', iso_time(a.at), ' ', a.data) AS line,
                                    row_number() OVER () AS number
                               FROM added a) AS w) AS l) AS page
      GROUP BY page.page;
    RETURN NULL;
END $$;

CREATE TRIGGER order_events_are_notified AFTER INSERT ON order_events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION notify_of_events();


-- Intake: stores orders with their first event, and queues those that are to be executed. An idempotency key that is taken
-- stores nothing and answers the order it belongs to.
CREATE FUNCTION accept_orders(p_orders json)
RETURNS TABLE (requested_id uuid, order_id uuid, fingerprint bytea)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_new uuid[];
    v_queued uuid[];
BEGIN
    WITH inserted AS (
        INSERT INTO orders AS o (id, account, idempotency_key, fingerprint, type, token_in, token_out, amount_in,
                                 slippage_bps, wallet, scenario, status, sequence, queued_at)
        SELECT i.id, i.account, i.idempotency_key, decode(i.fingerprint, 'hex'), i.type, i.token_in, i.token_out,
               i.amount_in, i.slippage_bps, i.wallet, i.scenario, 'pending', 1, CASE WHEN i.queue THEN now() END
          FROM json_to_recordset(p_orders) AS i(
               id uuid, account text, idempotency_key text, fingerprint text, type text, token_in text, token_out text,
               amount_in numeric, slippage_bps integer, wallet text, scenario text, queue boolean)
         ORDER BY i.account, i.idempotency_key, i.id  -- one order of locking, so that two batches cannot deadlock
        ON CONFLICT (account, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        RETURNING o.id, o.queued_at)
    SELECT array_agg(id), array_agg(id) FILTER (WHERE queued_at IS NOT NULL) INTO v_new, v_queued FROM inserted;

    IF v_queued IS NOT NULL THEN
        PERFORM queue_orders(v_queued, NULL);
    END IF;
    IF v_new IS NOT NULL THEN  -- last, for from here to the commit nobody else writes events
        INSERT INTO order_events (order_id, sequence, previous, status)
        SELECT n.id, 1, NULL, 'pending' FROM unnest(v_new) AS n(id);
        RETURN QUERY SELECT n.id, n.id, NULL::bytea FROM unnest(v_new) AS n(id);
    END IF;

    IF v_new IS NULL OR cardinality(v_new) < json_array_length(p_orders) THEN
        -- A statement of its own: its snapshot sees what a rival committed while the insert waited for it.
        RETURN QUERY
        SELECT i.id, o.id, o.fingerprint
          FROM json_to_recordset(p_orders) AS i(id uuid, account text, idempotency_key text)
          JOIN orders o ON o.account = i.account AND o.idempotency_key = i.idempotency_key
         WHERE o.id <> i.id;
    END IF;
END $$;


-- A claim: one winner per order. `pending` and due `retrying` orders move to `routing`; one that a dead worker held, or that
-- was handed back, is taken over where it stands. Each claim raises the fence, so that a worker that was only asleep is
-- refused from then on. Orders that more than `max_deaths` workers died with are left alone (claimed = false), for the
-- caller to take them few at a time.
CREATE FUNCTION claim_orders(p_claims json)
RETURNS TABLE (
    order_id uuid, claimed boolean, event_at text, deaths integer, status order_status, sequence integer, fence integer,
    attempt integer, type text, token_in text, token_out text, amount_in numeric, slippage_bps integer, wallet text,
    scenario text, venue text, fee_bps integer, quoted_out numeric,
    unresolved_number integer, signature text, raw bytea, last_valid_height bigint, min_out numeric)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
    v_locked uuid[];
BEGIN
    SELECT array_agg(won.id) INTO v_locked FROM (
        SELECT o.id
          FROM json_to_recordset(p_claims) AS w(id uuid, worker bigint)
          JOIN orders o ON o.id = w.id
         WHERE o.is_open AND o.queued_at IS NOT NULL
           AND CASE o.status
               WHEN 'pending' THEN true
               WHEN 'retrying' THEN o.next_attempt_at <= clock_timestamp()
               ELSE o.claimed_by IS NULL OR o.claimed_by = w.worker
                    OR NOT EXISTS (SELECT FROM live_workers l WHERE l.id = o.claimed_by)
               END
         ORDER BY o.id  -- one order of locking, so that two batches cannot deadlock
           FOR UPDATE OF o) AS won;

    -- A statement of its own: its snapshot sees the attempts that somebody else committed while the locks were waited for.
    RETURN QUERY
    WITH wanted AS (
        SELECT * FROM json_to_recordset(p_claims) AS c(id uuid, worker bigint, max_deaths integer)),
    locked AS MATERIALIZED (
        SELECT o.id, w.worker, w.max_deaths, o.status AS previous,
               o.status NOT IN ('pending', 'retrying') AS is_takeover,
               -- A worker that claims what it holds already only lost its connection for a while.
               o.deaths + (o.claimed_by <> w.worker AND o.claimed_by IS NOT NULL)::integer AS deaths
          FROM wanted w
          JOIN orders o ON o.id = w.id
         WHERE o.id = ANY (v_locked)),
    claimed AS (
        UPDATE orders o
           SET status = CASE WHEN l.is_takeover THEN o.status ELSE 'routing' END,
               sequence = o.sequence + (NOT l.is_takeover)::integer,
               attempt = o.attempt + (NOT l.is_takeover)::integer,
               fence = o.fence + 1,
               claimed_by = l.worker,
               deaths = l.deaths,
               next_attempt_at = NULL,
               updated_at = clock_timestamp()
          FROM locked l
         WHERE o.id = l.id AND l.deaths <= l.max_deaths
        RETURNING o.*, l.previous, l.is_takeover),
    events AS (
        INSERT INTO order_events (order_id, sequence, previous, status, data, at)
        SELECT c.id, c.sequence, c.previous, c.status, jsonb_build_object('attempt', c.attempt), c.updated_at
          FROM claimed c
         WHERE NOT c.is_takeover)
    SELECT c.id, true, CASE WHEN NOT c.is_takeover THEN iso_time(c.updated_at) END, c.deaths, c.status, c.sequence, c.fence, c.attempt, c.type, c.token_in, c.token_out,
           c.amount_in, c.slippage_bps, c.wallet, c.scenario, c.venue, c.fee_bps, c.quoted_out,
           a.number, a.signature, a.raw, a.last_valid_height, a.min_out
      FROM claimed c
      LEFT JOIN order_attempts a ON a.order_id = c.id AND a.outcome IS NULL
    UNION ALL
    SELECT l.id, false, NULL, l.deaths, l.previous, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL
      FROM locked l
     WHERE l.deaths > l.max_deaths;
END $$;


-- A move: from the status and under the fence that the caller expects, along the lifecycle, or not at all (no row back).
-- It may go by way of another status (`via`): two steps and two events, of which both are made or none.
-- With a signature it stores the attempt; with an outcome it resolves the one that is alive; towards `retrying` it queues
-- the order for when it is due, by this server's clock.
CREATE FUNCTION move_orders(p_moves json)
RETURNS TABLE (order_id uuid, sequence integer, event_at text, next_attempt_at text, due_at timestamptz)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH wanted AS (
        SELECT * FROM json_to_recordset(p_moves) AS m(
               id uuid, fence integer, source order_status, target order_status, data jsonb, delay_ms integer,
               outcome attempt_outcome, venue text, fee_bps integer, quoted_out numeric, min_out numeric, signature text,
               raw text, last_valid_height bigint, amount_out numeric, failure_code text, failure_message text,
               funds_moved text, via order_status, via_data jsonb)),
    locked AS MATERIALIZED (
        SELECT w.*, clock_timestamp() + w.delay_ms * interval '1 millisecond' AS due_at,
               NOT EXISTS (SELECT FROM order_transitions f WHERE f.source = w.target) AS is_final
          FROM wanted w
          JOIN orders o ON o.id = w.id AND o.fence = w.fence AND o.status = w.source
          JOIN order_transitions t ON t.source = w.source AND t.target = COALESCE(w.via, w.target)
         WHERE w.via IS NULL
            OR EXISTS (SELECT FROM order_transitions n WHERE n.source = w.via AND n.target = w.target)
         ORDER BY o.id
           FOR UPDATE OF o),
    moved AS (
        UPDATE orders o
           SET status = l.target,
               sequence = o.sequence + 1 + (l.via IS NOT NULL)::integer,
               is_open = NOT l.is_final,
               claimed_by = CASE WHEN NOT l.is_final AND l.target <> 'retrying' THEN o.claimed_by END,
               next_attempt_at = l.due_at,
               venue = COALESCE(l.venue, o.venue),
               fee_bps = COALESCE(l.fee_bps, o.fee_bps),
               quoted_out = COALESCE(l.quoted_out, o.quoted_out),
               min_out = COALESCE(l.min_out, o.min_out),
               signature = COALESCE(l.signature, o.signature),
               amount_out = l.amount_out,
               failure_code = l.failure_code,
               failure_message = l.failure_message,
               funds_moved = l.funds_moved,
               updated_at = clock_timestamp()
          FROM locked l
         WHERE o.id = l.id
        RETURNING o.id, o.sequence, o.status, o.attempt, o.venue, o.next_attempt_at, o.updated_at AS at,
                  l.source, l.via, l.via_data, l.outcome, l.signature, l.raw, l.last_valid_height, l.min_out,
                  CASE WHEN l.due_at IS NULL THEN l.data
                       ELSE l.data || jsonb_build_object('nextAttemptAt', iso_time(l.due_at)) END AS data),
    events AS (
        INSERT INTO order_events (order_id, sequence, previous, status, data, at)
        SELECT m.id, m.sequence - 1, m.source, m.via, m.via_data, m.at FROM moved m WHERE m.via IS NOT NULL
         UNION ALL
        SELECT m.id, m.sequence, COALESCE(m.via, m.source), m.status, m.data, m.at FROM moved m),
    resolved AS (
        UPDATE order_attempts a
           SET outcome = m.outcome, resolved_at = clock_timestamp()
          FROM moved m
         WHERE m.outcome IS NOT NULL AND a.order_id = m.id AND a.outcome IS NULL),
    stored AS (
        INSERT INTO order_attempts (order_id, number, venue, signature, raw, min_out, last_valid_height)
        SELECT m.id, m.attempt, m.venue, m.signature, decode(m.raw, 'base64'), m.min_out, m.last_valid_height
          FROM moved m
         WHERE m.signature IS NOT NULL)
    -- Not joined with the events: no plan for two sets of unknown size compares fewer than all pairs.
    SELECT m.id, m.sequence, iso_time(m.at), iso_time(m.next_attempt_at),
           CASE WHEN m.next_attempt_at IS NOT NULL THEN queue_orders(ARRAY[m.id], m.next_attempt_at) END
      FROM moved m;
END $$;


-- Hands orders back: nobody holds them. `died` counts as the death of a worker, for an order that broke the engine.
CREATE FUNCTION release_orders(p_releases json) RETURNS SETOF uuid
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH locked AS MATERIALIZED (
        SELECT o.id, r.died
          FROM json_to_recordset(p_releases) AS r(id uuid, fence integer, died boolean)
          JOIN orders o ON o.id = r.id AND o.fence = r.fence
         WHERE o.is_open AND o.claimed_by IS NOT NULL
         ORDER BY o.id
           FOR UPDATE OF o)
    UPDATE orders o SET claimed_by = NULL, deaths = o.deaths + l.died::integer FROM locked l WHERE o.id = l.id
    RETURNING o.id;
END $$;
