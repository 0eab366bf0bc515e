-- The chain behind the simulated venues: a world of its own, never joined to the ledger.
-- Every decision that depends on time is taken here, by this server's clock. What a transaction does to the pools is
-- computed outside, exactly as the real programs do, and written here in one statement or not at all.

CREATE SCHEMA simulated_chain;

CREATE TYPE simulated_chain.outcome AS ENUM ('confirmed', 'failed', 'expired');

CREATE TABLE simulated_chain.transactions (
    signature text PRIMARY KEY,                 -- base58, 87 or 88 characters
    order_id uuid NOT NULL,                     -- the memo: which order; no reference, the chain knows no orders
    attempt integer NOT NULL,                   -- the memo: which of its attempts
    venue text NOT NULL,                        -- raydium or meteora
    mint_in text NOT NULL,                      -- token sold
    mint_out text NOT NULL,                     -- token bought
    amount_in numeric(20, 0) NOT NULL CHECK (amount_in > 0),  -- base units of the token sold
    min_out numeric(20, 0) NOT NULL CHECK (min_out >= 0),     -- base units; paying less, it fails instead
    route json NOT NULL,                        -- [[pool, mint sold, base units planned], …]: one swap after the other
    last_valid_height bigint NOT NULL,          -- past this height it never lands
    rank bigint NOT NULL,                       -- its place among those that land at the same time
    received_at timestamptz NOT NULL,           -- when this chain first saw it
    lands_at timestamptz,                       -- the end of the slot in which it is executed; NULL: it never lands
    outcome simulated_chain.outcome,            -- NULL: not executed yet
    amount_out numeric(20, 0),                  -- base units of the token bought, when confirmed
    failure_code text,                          -- execution_failed or slippage_exceeded, when failed
    CHECK (coalesce(outcome = 'expired', false) = (lands_at IS NULL)),
    CHECK (coalesce(outcome = 'confirmed', false) = (amount_out IS NOT NULL)),
    CHECK (coalesce(outcome = 'failed', false) = (failure_code IS NOT NULL)),
    CHECK (amount_out >= min_out)
) WITH (fillfactor = 70);

CREATE INDEX transactions_due ON simulated_chain.transactions (lands_at, rank) WHERE outcome IS NULL;

-- A market is what one seed makes of prices and pools. Its state is that after the last landing: what happens in it
-- by itself since then is a function of the seed and the slot, and computed by whoever looks.
CREATE TABLE simulated_chain.markets (
    seed text PRIMARY KEY,
    version bigint NOT NULL,                    -- raised by every landing: who computed on another one is refused
    slot bigint NOT NULL,                       -- of the last landing
    opening json NOT NULL,                      -- {pool: [√price when sold to, when bought from]} when somebody first traded in that slot
    taken_until timestamptz NOT NULL DEFAULT '-infinity'  -- until then somebody else is computing; only spares work
) WITH (fillfactor = 50);

CREATE TABLE simulated_chain.pools (
    seed text NOT NULL REFERENCES simulated_chain.markets,
    id text NOT NULL,                           -- base58, as an address on Solana
    venue text NOT NULL,                        -- raydium or meteora
    kind text NOT NULL,                         -- cpmm, amm_v4, clmm, dlmm or damm_v2: whose arithmetic it follows
    mint_a text NOT NULL,
    mint_b text NOT NULL,
    state json NOT NULL,                        -- all that a swap can change, as the kind counts it; exact integers
    balance_a numeric(20, 0) NOT NULL CHECK (balance_a >= 0),  -- base units in its vaults, unclaimed fees included
    balance_b numeric(20, 0) NOT NULL CHECK (balance_b >= 0),
    slot bigint NOT NULL,                       -- in which it got into this state
    PRIMARY KEY (seed, id)
) WITH (fillfactor = 30);

-- For tests: while it has a row, the chain's time stands still at it.
CREATE TABLE simulated_chain.stopped_clock (
    at_ms bigint NOT NULL                       -- milliseconds since 1970
);

CREATE FUNCTION simulated_chain.now_ms() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(
        (SELECT at_ms FROM simulated_chain.stopped_clock),
        floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
    )
$$;

CREATE FUNCTION simulated_chain.to_time(ms bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT timestamptz 'epoch' + ms * interval '1 ms'
$$;

-- The block height counts 400 ms, however often transactions land.
CREATE FUNCTION simulated_chain.height(ms bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT ms / 400
$$;

-- The height of the block that is over at this time.
CREATE FUNCTION simulated_chain.height_before(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT simulated_chain.height((extract(epoch FROM moment) * 1000)::bigint - 1)
$$;

-- Names a signature's advisory lock: held from before its validity is judged until its row is visible.
CREATE FUNCTION simulated_chain.lock_key(signature text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('simulated_chain:' || signature, 0)
$$;

-- The market after its last landing, with the pools unless the caller holds this version of them already.
CREATE FUNCTION simulated_chain.read_market(market text, held bigint) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'version', m.version, 'slot', m.slot, 'opening', m.opening,
        'pools', CASE WHEN m.version <> held THEN (
            SELECT coalesce(json_agg(json_build_array(p.id, p.state, p.balance_a, p.balance_b, p.slot)), '[]')
              FROM simulated_chain.pools p WHERE p.seed = m.seed
        ) END
    )
    FROM (
        SELECT seed, version, slot, opening FROM simulated_chain.markets WHERE seed = market
        UNION ALL
        SELECT market, 0, -1, '{}' WHERE NOT EXISTS (SELECT FROM simulated_chain.markets WHERE seed = market)
    ) AS m
$$;

-- What is due, in the order in which it lands, and the market that it meets; NULL: somebody else is at it, or was.
-- `closes`: nobody hands in anything more for the time that is over, for who does holds the lock that is taken here.
CREATE FUNCTION simulated_chain.take_due(market text, held bigint, most integer, closes boolean) RETURNS json
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    until timestamptz := simulated_chain.to_time(simulated_chain.now_ms());
    due json;
BEGIN
    INSERT INTO simulated_chain.markets AS m (seed, version, slot, opening, taken_until)
    VALUES (market, 0, -1, '{}', clock_timestamp() + interval '300 ms')
    ON CONFLICT (seed) DO UPDATE SET taken_until = excluded.taken_until
     WHERE m.taken_until <= clock_timestamp()
        OR m.taken_until > clock_timestamp() + interval '300 ms';  -- by another server's clock
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF closes THEN
        PERFORM pg_advisory_xact_lock(simulated_chain.lock_key('receipts'));
    END IF;
    SELECT json_agg(row_to_json(d)) INTO due FROM (
        SELECT signature, order_id, attempt, amount_in, min_out, mint_in, mint_out, route,
               simulated_chain.height_before(lands_at) AS slot
          FROM simulated_chain.transactions
         WHERE outcome IS NULL AND lands_at <= until
         ORDER BY lands_at, rank, signature
         LIMIT most
    ) AS d;
    IF due IS NULL THEN  -- somebody has executed it meanwhile
        UPDATE simulated_chain.markets m SET taken_until = '-infinity' WHERE m.seed = market;
        RETURN NULL;
    END IF;
    RETURN json_build_object('due', due, 'market', simulated_chain.read_market(market, held));
END
$$;

-- Takes in the transactions that are `sent`, and answers what the chain knows of them and of those `asked`; a signature
-- without an answer is unknown to it.
--
-- Of what is sent, each signature is locked first, and its validity judged by a clock read later. An `asked` one that is
-- missing may be in a transaction that judged it valid and is not committed yet: calling it unknown would let it be signed
-- anew and land twice. Its lock tells; where it is taken the state is `contested`. Nobody waits for such a lock.
CREATE FUNCTION simulated_chain.serve(
    sent json, asked text[], delay_ms bigint, slot_ms bigint, market text, held bigint, most integer, wants_pools boolean
) RETURNS TABLE (
    now_ms bigint,          -- the chain's clock, milliseconds since 1970
    is_stopped boolean,     -- it stands still
    is_due boolean,         -- something can be executed now
    known text,             -- [[signature, contested | late | pending | due | confirmed | failed, amount out, failure code], …]
    pools text,             -- see read_market, when wanted
    taken text              -- see take_due, where there are no slots to close
)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    handed_in text[] := ARRAY(SELECT value ->> 'signature' FROM json_array_elements(sent));
    contested text[];
    read_ms bigint;
    read_at timestamptz;
    lands_at timestamptz;
BEGIN
    contested := ARRAY(
        SELECT s FROM unnest(handed_in) s WHERE NOT pg_try_advisory_xact_lock(simulated_chain.lock_key(s))
    ) || ARRAY(
        SELECT s FROM unnest(asked) s
         WHERE NOT EXISTS (SELECT FROM simulated_chain.transactions t WHERE t.signature = s)
           AND NOT pg_try_advisory_xact_lock_shared(simulated_chain.lock_key(s))
    );
    IF slot_ms > 0 AND cardinality(handed_in) > 0 THEN
        PERFORM pg_advisory_xact_lock_shared(simulated_chain.lock_key('receipts'));
    END IF;
    read_ms := simulated_chain.now_ms();
    read_at := simulated_chain.to_time(read_ms);
    lands_at := simulated_chain.to_time(
        CASE WHEN slot_ms > 0 THEN ((read_ms + delay_ms) / slot_ms + 1) * slot_ms ELSE read_ms + delay_ms END
    );
    INSERT INTO simulated_chain.transactions (
        signature, order_id, attempt, venue, mint_in, mint_out, amount_in, min_out, route, last_valid_height, rank,
        received_at, lands_at, outcome
    )
    SELECT s.signature, order_id, attempt, venue, mint_in, mint_out, amount_in, min_out, route, last_valid_height, rank,
           read_at, CASE WHEN in_time THEN lands_at END,
           CASE WHEN NOT in_time THEN 'expired'::simulated_chain.outcome END
      FROM json_to_recordset(sent) AS s (
               signature text, order_id uuid, attempt integer, venue text, mint_in text, mint_out text,
               amount_in numeric, min_out numeric, route json, last_valid_height bigint, rank bigint
           ),
           LATERAL (SELECT simulated_chain.height_before(lands_at) <= last_valid_height AS in_time) AS judged
     WHERE simulated_chain.height(read_ms) <= last_valid_height AND s.signature <> ALL (contested)
    ON CONFLICT (signature) DO NOTHING;
    -- Statements of their own, after the locks: they see what was committed while those were held elsewhere.
    SELECT coalesce(json_agg(json_build_array(k.signature, k.state, k.amount_out, k.failure_code)), '[]')::text INTO known
      FROM (
        SELECT t.signature,
               coalesce(
                   nullif(t.outcome::text, 'expired'),
                   CASE WHEN t.outcome IS NULL AND t.lands_at <= read_at THEN 'due' ELSE 'pending' END
               ) AS state,
               t.amount_out, t.failure_code
          FROM simulated_chain.transactions t
         WHERE t.signature = ANY (handed_in || asked)
        UNION ALL
        SELECT s, CASE WHEN s = ANY (contested) THEN 'contested' ELSE 'late' END, NULL, NULL
          FROM unnest(handed_in || contested) s
         WHERE NOT EXISTS (SELECT FROM simulated_chain.transactions t WHERE t.signature = s)
    ) AS k;
    now_ms := read_ms;
    is_stopped := EXISTS (SELECT FROM simulated_chain.stopped_clock);
    is_due := EXISTS (SELECT FROM simulated_chain.transactions t WHERE t.outcome IS NULL AND t.lands_at <= read_at);
    IF is_due AND slot_ms = 0 THEN
        taken := simulated_chain.take_due(market, held, most, false)::text;
    END IF;
    IF wants_pools AND taken IS NULL THEN
        pools := simulated_chain.read_market(market, held)::text;
    END IF;
    RETURN NEXT;
END
$$;

-- Writes what the due transactions came to and what they left behind, all of it or nothing: false when the market has
-- moved on since `version`, or somebody else has executed one of them. What has landed is on disk when this is known.
CREATE FUNCTION simulated_chain.land(
    market text, version bigint, slot bigint, opening json, pools json, landed json
) RETURNS boolean
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off AS $$
#variable_conflict use_column
DECLARE
    executed text[] := ARRAY(SELECT value ->> 'signature' FROM json_array_elements(landed));
    still_due bigint;
BEGIN
    PERFORM FROM simulated_chain.markets m WHERE m.seed = land.market AND m.version = land.version FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- The market's row keeps others of the same seed away, these rows those of another one.
    PERFORM FROM simulated_chain.transactions t
      WHERE t.signature = ANY (executed) AND t.outcome IS NULL ORDER BY t.signature FOR UPDATE;
    GET DIAGNOSTICS still_due = ROW_COUNT;
    IF still_due <> cardinality(executed) THEN
        RETURN false;
    END IF;
    PERFORM set_config('synchronous_commit', 'on', true);
    UPDATE simulated_chain.markets m
       SET version = land.version + 1, slot = land.slot, opening = land.opening, taken_until = '-infinity'
     WHERE m.seed = land.market;
    INSERT INTO simulated_chain.pools AS p (seed, id, venue, kind, mint_a, mint_b, state, balance_a, balance_b, slot)
    SELECT market, r.* FROM json_to_recordset(pools) AS r (
        id text, venue text, kind text, mint_a text, mint_b text, state json, balance_a numeric, balance_b numeric, slot bigint
    )
    ORDER BY id
    ON CONFLICT (seed, id) DO UPDATE
        SET state = excluded.state, balance_a = excluded.balance_a, balance_b = excluded.balance_b, slot = excluded.slot;
    UPDATE simulated_chain.transactions t
       SET outcome = l.outcome, amount_out = l.amount_out, failure_code = l.failure_code
      FROM json_to_recordset(landed) AS l (
          signature text, outcome simulated_chain.outcome, amount_out numeric, failure_code text
      )
     WHERE t.signature = l.signature AND t.outcome IS NULL;
    RETURN true;
END
$$;

-- Scenarios (app/venues/simulated/scenarios.py): transactions whose outcome is written down before they land, and whose
-- signatures nobody else asks about. They touch no market, and are on disk when that is known.
--
-- Takes one in, to land after the delay or at the beginning of its last block: `taken`, or seen before; `late`, past its
-- last valid height; `contested`, just being handed in by somebody else. As for any other transaction its lock is held
-- from before its validity is judged until its row is visible.
CREATE FUNCTION simulated_chain.play(sent json, delay_ms bigint, in_last_block boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    played simulated_chain.transactions := json_populate_record(NULL::simulated_chain.transactions, sent);
    last_block timestamptz;
BEGIN
    IF NOT pg_try_advisory_xact_lock(simulated_chain.lock_key(played.signature)) THEN
        RETURN 'contested';
    END IF;
    IF EXISTS (SELECT FROM simulated_chain.transactions t WHERE t.signature = played.signature) THEN
        RETURN 'taken';
    END IF;
    played.received_at := clock_timestamp();
    IF extract(epoch FROM played.received_at) * 1000 >= (played.last_valid_height + 1) * 400 THEN
        RETURN 'late';
    END IF;
    last_block := timestamptz 'epoch' + played.last_valid_height * interval '400 ms';
    played.lands_at := greatest(played.received_at, CASE WHEN in_last_block
        THEN last_block ELSE least(played.received_at + delay_ms * interval '1 ms', last_block) END);
    PERFORM set_config('synchronous_commit', 'on', true);
    INSERT INTO simulated_chain.transactions SELECT played.*;
    RETURN 'taken';
END
$$;

-- What became of such a transaction; no row: nobody has handed it in. See serve for `contested`.
CREATE FUNCTION simulated_chain.fate(asked text) RETURNS TABLE (
    state text,             -- contested | pending | confirmed | failed
    amount_out numeric,     -- when confirmed
    failure_code text       -- when failed
)
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM simulated_chain.transactions t WHERE t.signature = asked)
       AND NOT pg_try_advisory_xact_lock_shared(simulated_chain.lock_key(asked)) THEN
        RETURN QUERY SELECT 'contested', NULL::numeric, NULL::text;
    END IF;
    -- A statement of its own, after the lock: it sees what was committed while that was held elsewhere.
    RETURN QUERY
    SELECT CASE WHEN t.lands_at <= clock_timestamp() THEN t.outcome::text ELSE 'pending' END, t.amount_out, t.failure_code
      FROM simulated_chain.transactions t
     WHERE t.signature = asked;
END
$$;
