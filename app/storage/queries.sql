-- accept_orders: store orders with their first event; a taken idempotency key answers the order it belongs to
SELECT requested_id, order_id, fingerprint FROM accept_orders($1::json)

-- claim_orders: one winner per order, each claim raises the fence
SELECT order_id, claimed, event_at, deaths, status, sequence, fence, attempt, type, token_in, token_out, amount_in,
       slippage_bps, wallet, scenario, venue, fee_bps, quoted_out,
       unresolved_number, signature, raw, last_valid_height, min_out
  FROM claim_orders($1::json)

-- move_orders: from the expected status and under the expected fence, along the lifecycle, or no row
SELECT order_id, sequence, event_at, next_attempt_at FROM move_orders($1::json)

-- release_orders: hand back what this worker holds
SELECT * FROM release_orders($1::json)

-- queue_order: the second of the two steps; exactly one caller gets the row
UPDATE orders SET queued_at = now()
 WHERE id = %(id)s AND account = %(account)s AND status = 'pending' AND queued_at IS NULL
RETURNING id

-- owned_order: whether the account has such an order; one of somebody else is as unknown as none
SELECT 1 FROM orders WHERE id = %(id)s AND account = %(account)s

-- find_order: one order as clients see it
SELECT id, account, type, token_in, token_out, amount_in, slippage_bps, wallet, scenario, status, sequence, queued_at IS NOT NULL,
       attempt, venue, signature, quoted_out, min_out, amount_out, failure_code, failure_message, funds_moved,
       created_at, updated_at
  FROM orders WHERE id = %b

-- order_head: whether the order exists, and how far it is
SELECT status, sequence FROM orders WHERE id = %b

-- events_after: the events of many orders past a cursor each, in order
SELECT e.order_id, e.sequence, e.status, iso_time(e.at), e.data::text, e.position
  FROM unnest(%b::uuid[], %b::integer[]) AS c(id, after)
 CROSS JOIN LATERAL (
       SELECT * FROM order_events WHERE order_id = c.id AND sequence > c.after ORDER BY sequence) AS e

-- log_ends: where the log can be followed from, and where it ends
SELECT oldest, head FROM order_log_ends

-- log_after: a piece of the log past a position, and its ends in the same snapshot; one row at least
SELECT l.oldest, l.head, e.position, e.order_id, e.sequence, e.status, iso_time(e.at) AS at, e.data::text AS data,
       o.account, o.wallet, o.type, o.token_in, o.token_out, o.amount_in, o.slippage_bps
  FROM order_log_ends l
  LEFT JOIN LATERAL (
       SELECT * FROM order_events WHERE position > %(after)b ORDER BY position LIMIT %(limit)b) AS e ON true
  LEFT JOIN orders o ON o.id = e.order_id
 ORDER BY e.position

-- sequence_at: the last event of an order up to a position of the log
SELECT COALESCE(max(sequence), 0) FROM order_events WHERE order_id = %(id)b AND position <= %(position)b

-- read_activity: the queries of a transaction see one snapshot, and join what is new in the log with the orders one by one
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off

-- log_now: where the log ends, and the server's time
SELECT head, clock_timestamp() FROM order_log_ends

-- log_time: the time of the first event from a position on
SELECT at FROM order_events WHERE position >= %b ORDER BY position LIMIT 1

-- steps_by_second: how many orders of an account came to each of these statuses, and how long the confirmed ones took
SELECT date_trunc('second', e.at), e.status, count(*),
       array_agg(round(extract(epoch FROM e.at - o.created_at) * 1000)::bigint) FILTER (WHERE e.status = 'confirmed')
  FROM order_events e
  JOIN orders o ON o.id = e.order_id AND o.account = %(account)b
 WHERE e.position > %(after)b AND e.position <= %(until)b AND e.status IN ('pending', 'confirmed', 'failed')
 GROUP BY 1, 2

-- answers_by_second: how often each venue gave a quote and how often it gave none; a venue of NULL is all of them
SELECT date_trunc('second', e.at), answer.venue, sum(answer.quotes)::integer, sum(answer.refusals)::integer
  FROM order_events e
  JOIN orders o ON o.id = e.order_id AND o.account = %(account)b
 CROSS JOIN LATERAL (
       SELECT q ->> 'dex' AS venue, 1 AS quotes, 0 AS refusals FROM jsonb_array_elements(e.data -> 'quotes') AS q
       UNION ALL
       SELECT u ->> 'dex', 0, 1 FROM jsonb_array_elements(e.data -> 'unavailable') AS u
        WHERE u ->> 'code' = ANY (%(outages)b)
       UNION ALL
       SELECT NULL, 0, 1 WHERE e.previous = 'routing' AND e.data ->> 'code' = ANY (%(outages)b)) AS answer
 WHERE e.position > %(after)b AND e.position <= %(until)b AND e.status IN ('building', 'retrying', 'failed')
 GROUP BY 1, 2

-- open_orders: those that wait, the age of the oldest in seconds, and those under way
SELECT count(*) FILTER (WHERE status = 'pending' AND queued_at IS NOT NULL),
       extract(epoch FROM clock_timestamp() - min(queued_at) FILTER (WHERE status = 'pending'))::float8,
       count(*) FILTER (WHERE status <> 'pending')
  FROM orders
 WHERE is_open AND account = %b

-- fills: the newest confirmed orders of a pair since a time, of the newest orders alone: no index has the pair first
SELECT id, updated_at, venue, amount_in, amount_out
  FROM (SELECT * FROM orders WHERE id >= %(first)b AND account = %(account)b ORDER BY id DESC LIMIT %(looked_at)b) AS newest
 WHERE token_in = %(token_in)b AND token_out = %(token_out)b AND status = 'confirmed' AND updated_at >= %(since)b
 ORDER BY updated_at DESC
 LIMIT %(limit)b

-- revision: the schema that the database is at
SELECT version_num FROM order_engine_version

-- prune_cutoff: the moment so long ago, by the server's clock, which wrote the times that it is compared with
SELECT clock_timestamp() - %b::interval

-- prune_candidates: orders that ended before the cutoff; not those whose funds somebody still has to look for
SELECT id FROM orders
 WHERE id > %(after)b AND id < %(before)b AND NOT is_open AND updated_at < %(cutoff)b
   AND funds_moved IS DISTINCT FROM 'unknown'
 ORDER BY id
 LIMIT %(batch)b
   FOR UPDATE SKIP LOCKED

-- prune_chain: what the simulated chain knows of these orders; first, for it is found by their attempts
DELETE FROM simulated_chain.transactions
 WHERE signature = ANY (ARRAY(SELECT signature FROM order_attempts WHERE order_id = ANY (%b)))

-- prune_orders: the orders; their events and attempts go with them
DELETE FROM orders WHERE id = ANY (%b)
