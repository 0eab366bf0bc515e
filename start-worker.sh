#!/bin/sh
# The worker alone, on the servers that DATABASE_URL and REDIS_URL name, after bringing the database up to date.
set -eu
cd "$(dirname "$0")"
.venv/bin/order-engine migrate
exec .venv/bin/order-engine worker
