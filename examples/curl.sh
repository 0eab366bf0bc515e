#!/bin/sh
# Places an order, repeats the request with the same idempotency key, reads the order until it is final,
# and lists the orders of its wallet.
#
#   sh examples/curl.sh [AMOUNT]                                  the engine at http://localhost:3000
#   BASE_URL=https://engine.example sh examples/curl.sh 0.5       another engine
#
# Needs curl 7.76 or newer. Exit code: 0 confirmed, 1 failed, anything else: the engine did not do as asked.
set -eu

BASE_URL=${BASE_URL:-http://localhost:3000}
AMOUNT=${1:-1.25}
KEY="curl-$(date +%s)-$$"
WALLET="wallet-of-$KEY"

# Sends a request and keeps the answer; --retry repeats it after a time-out, a 429 or a 5xx.
ask() {
    answer=$(curl -sS --fail-with-body --max-time 10 --retry 3 "$@") || {
        code=$?
        printf '%s\n' "$answer" >&2
        [ "$code" -ne 1 ] || code=2
        exit "$code"
    }
    printf '%s\n\n' "$answer"
}

# A field of the answer; of several with this name the last one.
field() {
    printf '%s' "$answer" | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

place() {
    ask "$BASE_URL/api/orders/execute" \
        -H 'Content-Type: application/json' \
        -H "Idempotency-Key: $KEY" \
        -d "{\"type\":\"market\",\"tokenIn\":\"SOL\",\"tokenOut\":\"USDC\",\"amount\":\"$AMOUNT\",\"slippageBps\":300,\"wallet\":\"$WALLET\"}"
}

echo "Place an order:"
place
order_id=$(field orderId)

echo "Place it again with the same key, as after a lost answer: it is the same order, and no second one."
place
[ "$(field orderId)" = "$order_id" ] && [ "$(field idempotent)" = true ] || exit 2

echo "Read it until it is final:"
reads=0
while :; do
    ask "$BASE_URL/api/orders/$order_id"
    status=$(field status)  # of the last event, which is the order's own
    case $status in confirmed | failed) break ;; esac
    reads=$((reads + 1))
    if [ "$reads" -ge 60 ]; then
        echo "It is still $status after a minute." >&2
        exit 2
    fi
    sleep 1
done

echo "List the orders of the wallet:"
ask "$BASE_URL/api/orders?wallet=$WALLET&limit=10"

echo "Order $order_id is $status."
[ "$status" = confirmed ]
