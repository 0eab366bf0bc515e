-- seeds: the orders to be, each with its moment, spread over the hundred days that ended a hundred days ago
CREATE TEMPORARY TABLE seeds AS
SELECT n, uuidv7(moment - now()) AS id, moment AS at, n %% 50 = 0 AS has_failed, 'seed-key-' || n AS key,
       md5('a' || n) || md5('b' || n) || left(md5('c' || n), 24) AS signature
  FROM (SELECT n, now() - interval '200 days' + n * (interval '100 days' / %(orders)s) AS moment
          FROM generate_series(1, %(orders)s) AS n) AS spread

-- orders: finished, one in fifty failed
INSERT INTO orders (id, account, idempotency_key, fingerprint, type, token_in, token_out, amount_in, slippage_bps, wallet,
                    status, sequence, is_open, queued_at, fence, attempt, venue, fee_bps, quoted_out, min_out, signature,
                    amount_out, failure_code, failure_message, funds_moved, created_at, updated_at)
SELECT id, 'default', key, decode(repeat('ab', 32), 'hex'), 'market', 'SOL', 'USDC', 1250000000, 50,
       CASE WHEN n %% 4 = 0 THEN 'wallet-' || n %% 10000 END,
       CASE WHEN has_failed THEN 'failed' ELSE 'confirmed' END::order_status, 5, false, at, 1, 1, 'raydium', 25, 192223679,
       191262560, signature, CASE WHEN NOT has_failed THEN 191851345 END,
       CASE WHEN has_failed THEN 'slippage_exceeded' END,
       CASE WHEN has_failed THEN 'The price moved beyond the tolerance; no tokens were exchanged.' END,
       CASE WHEN has_failed THEN 'no' END, at, at + interval '3 seconds'
  FROM seeds ORDER BY n

-- events: the five of the shortest way
INSERT INTO order_events (order_id, sequence, previous, status, data, at)
SELECT id, step.sequence, step.previous, CASE WHEN step.sequence = 5 AND has_failed THEN 'failed' ELSE step.status END,
       step.data, at + step.sequence * interval '0.5 seconds'
  FROM seeds
 CROSS JOIN (VALUES
       (1, NULL, 'pending'::order_status, '{}'::jsonb),
       (2, 'pending'::order_status, 'routing', '{"attempt": 1}'),
       (3, 'routing', 'building', '{"dex": "raydium", "route": {"legs": [{"dex": "raydium", "fee": 0.0004, "kind": "clmm", "pool": "GUudCbXgfKjGo959pRymyQUpUFfk16NKPHbiaavbZr4i", "tokenIn": "SOL", "amountIn": 1.25, "tokenOut": "USDT", "amountOut": 192.140748}, {"dex": "raydium", "fee": 0.0001, "kind": "clmm", "pool": "FGrFsiq6CQWbP39jdfR4i1cVdh9Rn4fjndxLf74UzFmt", "tokenIn": "USDT", "amountIn": 192.140748, "tokenOut": "USDC", "amountOut": 192.223679}], "saving": 0.003657, "bestSinglePool": {"dex": "raydium", "pool": "4LpGBR8unV4Me7WVDBXQuQkDUVL4S3gE1LJPyde3uhBj", "amountOut": 192.212346}}, "quotes": [{"dex": "raydium", "fee": 0.0005, "price": 153.855871136, "amountOut": 192.223679}, {"dex": "meteora", "fee": 0.0004, "price": 153.830049620, "amountOut": 192.210634}], "attempt": 1}'),
       (4, 'building', 'submitted', '{"dex": "raydium", "txHash": "3uVFzY4thBmidwCuzi6VqdqhzQhjBA3dnVXwnnvsT5AuSB63fJndfbNRXhGSxaHW7tdQKcaMTQ4g7xekWeXSLeBJ", "attempt": 1, "minAmountOut": 191.26256}'),
       (5, 'submitted', 'confirmed', '{"dex": "raydium", "txHash": "3uVFzY4thBmidwCuzi6VqdqhzQhjBA3dnVXwnnvsT5AuSB63fJndfbNRXhGSxaHW7tdQKcaMTQ4g7xekWeXSLeBJ", "amountOut": 191.851345, "executedPrice": 153.481076}')
       ) AS step(sequence, previous, status, data)
 ORDER BY n, step.sequence

-- attempts: one each
INSERT INTO order_attempts (order_id, number, venue, signature, raw, min_out, last_valid_height, outcome, stored_at,
                            resolved_at)
SELECT id, 1, 'raydium', signature, decode(repeat(md5(signature), 27), 'hex'), 191262560, 1000,
       CASE WHEN has_failed THEN 'failed' ELSE 'landed' END::attempt_outcome, at + interval '2 seconds',
       at + interval '3 seconds'
  FROM seeds ORDER BY n

-- landings: the chain's side of it
INSERT INTO simulated_chain.transactions (signature, order_id, attempt, venue, mint_in, mint_out, amount_in, min_out,
                                          route, last_valid_height, rank, received_at, lands_at, outcome, amount_out, failure_code)
SELECT signature, id, 1, 'raydium', 'So11111111111111111111111111111111111111112',
       'EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v', 1250000000, 191262560,
       '[["7M3mQ14V44DBZ5zkqEkES5SHEuWjx8ZcSjoBwia2o8TK","So11111111111111111111111111111111111111112",625000000],["7M3mQ14V44DBZ5zkqEkES5SHEuWjx8ZcSjoBwia2o8TK","So11111111111111111111111111111111111111112",625000000]]',
       1000, n, at + interval '2 seconds',
       at + interval '3 seconds', CASE WHEN has_failed THEN 'failed' ELSE 'confirmed' END::simulated_chain.outcome,
       CASE WHEN NOT has_failed THEN 191851345 END, CASE WHEN has_failed THEN 'slippage_exceeded' END
  FROM seeds ORDER BY n

-- jobs: as a procrastinate that keeps them would have left them
INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, attempts)
SELECT 'orders', 'execute_orders', jsonb_build_object('order_ids', jsonb_build_array(id)), 'succeeded', 1
  FROM seeds ORDER BY n

-- job_events: the last one of each job
INSERT INTO procrastinate_events (job_id, type) SELECT id, 'succeeded' FROM procrastinate_jobs ORDER BY id
