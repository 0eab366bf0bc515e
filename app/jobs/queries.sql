-- lock_sweep: one sweep at a time is enough; the lock ends with the transaction
SELECT pg_try_advisory_xact_lock(hashtext('order-engine sweep'))

-- stalled_jobs: fetched by a worker that is not alive
SELECT j.id
  FROM procrastinate_jobs j
 WHERE j.status = 'doing' AND NOT EXISTS (SELECT FROM live_workers l WHERE l.id = j.worker_id)

-- disown: what former lives of this very process held; it was not dead, only without a database
UPDATE orders SET claimed_by = NULL WHERE is_open AND claimed_by = ANY(%t)

-- orders_without_job: accepted, not finished, and nothing that would ever look at them again (as text: a job may name
-- anything; not as a join: with the statistics of a moment ago the planner may compare every order with every name)
SELECT nameless.id::uuid
  FROM (SELECT o.id::text AS id FROM orders o WHERE o.is_open AND o.queued_at IS NOT NULL
        EXCEPT
        SELECT n.id
          FROM procrastinate_jobs, jsonb_array_elements_text(args -> 'order_ids') AS n(id)
         WHERE task_name = 'execute_orders' AND status IN ('todo', 'doing')) AS nameless
 ORDER BY nameless.id
 LIMIT 1000

-- fetch_job: the next job for this worker, if there is one, and whether another one is due
SELECT f.id, f.status, f.task_name, f.priority, f.lock, f.queueing_lock, f.args, f.scheduled_at, f.queue_name,
       f.attempts, f.abort_requested, f.worker_id,
       EXISTS (
           SELECT FROM procrastinate_jobs j
            WHERE j.status = 'todo' AND j.id IS DISTINCT FROM f.id
              AND j.queue_name = ANY($1::varchar[])
              AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())) AS has_more
  FROM procrastinate_fetch_job_v2($1::varchar[], $2::bigint) AS f

-- finish_jobs: jobs that succeeded leave nothing behind
SELECT procrastinate_finish_job_v1(f.id, 'succeeded', true) FROM unnest($1::bigint[]) AS f(id)
