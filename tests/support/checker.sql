-- What must be true of every ledger, whatever happened to its workers. Each query answers the orders that break one rule.

-- unfinished: every order that was queued has come to its end
SELECT id FROM orders WHERE queued_at IS NOT NULL AND status NOT IN ('confirmed', 'failed')

-- filled_twice: at most one transaction of an order landed
SELECT id FROM unnest(%(landed)s::uuid[]) AS landed(id) GROUP BY id HAVING count(*) > 1

-- confirmed_without_landing: what is said to be filled, is
SELECT id FROM orders WHERE status = 'confirmed' AND id <> ALL (%(landed)s::uuid[])

-- landed_without_confirming: what is filled and finished, is said to be; one that was set aside unresolved says so
SELECT id FROM orders
 WHERE status = 'failed' AND id = ANY (%(landed)s::uuid[]) AND funds_moved IS DISTINCT FROM 'unknown'

-- sequence_with_a_gap: events are numbered 1, 2, 3 …
SELECT order_id FROM order_events GROUP BY order_id HAVING min(sequence) <> 1 OR max(sequence) <> count(*)

-- event_off_the_lifecycle: each event continues the one before it, along the table
SELECT e.order_id
  FROM (SELECT *, lag(status) OVER (PARTITION BY order_id ORDER BY sequence) AS before FROM order_events) AS e
 WHERE e.previous IS DISTINCT FROM e.before
    OR (e.sequence = 1 AND e.status <> 'pending')
    OR (e.sequence > 1 AND NOT EXISTS (
        SELECT FROM order_transitions t WHERE t.source = e.previous AND t.target = e.status))

-- event_after_the_end: nothing follows a final status
SELECT order_id FROM order_events WHERE previous IN ('confirmed', 'failed')

-- order_unlike_its_events: the order is where its last event says
SELECT o.id
  FROM orders o
  LEFT JOIN LATERAL (SELECT * FROM order_events WHERE order_id = o.id ORDER BY sequence DESC LIMIT 1) AS e ON true
 WHERE (e.status, e.sequence) IS DISTINCT FROM (o.status, o.sequence)
    OR o.is_open <> (o.status NOT IN ('confirmed', 'failed'))

-- two_signatures_alive: of one order, at most one transaction has an open fate
SELECT order_id FROM order_attempts WHERE outcome IS NULL GROUP BY order_id HAVING count(*) > 1

-- alive_out_of_place: an open fate belongs to a submitted order, or to one that was set aside saying so
SELECT o.id
  FROM orders o
  LEFT JOIN order_attempts a ON a.order_id = o.id AND a.outcome IS NULL
 WHERE (a.order_id IS NOT NULL)
    <> (o.status = 'submitted' OR (o.status = 'failed' AND o.funds_moved = 'unknown'))

-- landed_attempts_unlike_status: confirmed means that exactly one attempt landed, and nothing else does
SELECT o.id
  FROM orders o
  LEFT JOIN order_attempts a ON a.order_id = o.id AND a.outcome = 'landed'
 GROUP BY o.id, o.status
HAVING count(a.order_id) <> (o.status = 'confirmed')::integer

-- held_at_rest: nobody holds an order that rests
SELECT id FROM orders WHERE claimed_by IS NOT NULL AND status NOT IN ('routing', 'building', 'submitted')
