// An order as the list shows it, and what an event makes of it.

/** @typedef {{orderId: string, status: string, sequence: number, [member: string]: any}} Order as `GET /api/orders` answers */

const FINAL = new Set(['confirmed', 'failed']);

export function isFinal(status) {
    return FINAL.has(status);
}

/** The order of a `pending` event, which is the first that is heard of it. @returns {Order} */
export function fromFirstEvent({orderId, sequence, status, timestamp, order}) {
    return {
        ...order, orderId, status, sequence, queued: true, attempts: 0, dex: null, quotedAmountOut: null, minAmountOut: null,
        amountOut: null, executedPrice: null, txHash: null, failure: null, createdAt: timestamp, updatedAt: timestamp,
    };
}

/** What the order is after its next event. @returns {Order} */
export function afterEvent(order, {sequence, status, timestamp, data}) {
    return {...order, sequence, status, updatedAt: timestamp, ...(CHANGES[status]?.(data) ?? {})};
}

const CHANGES = {
    routing: ({attempt}) => ({
        attempts: attempt, queued: true, dex: null, quotedAmountOut: null, minAmountOut: null, txHash: null, failure: null,
    }),
    building: ({dex, quotes}) => ({dex, quotedAmountOut: quotes.find((quote) => quote.dex === dex)?.amountOut ?? null}),
    submitted: ({dex, txHash, minAmountOut}) => ({dex, txHash, minAmountOut}),
    confirmed: ({dex, txHash, amountOut, executedPrice}) => ({dex, txHash, amountOut, executedPrice}),
    retrying: failureOf,
    failed: failureOf,
};

function failureOf({code, message, retryable, fundsMoved}) {
    return {failure: {code, message, retryable, fundsMoved}};
}

/** How many of the four steps to a fill the order has taken: 0 it waits, 4 it is filled. */
export function progress(order) {
    const at = {pending: 0, routing: 1, building: 2, submitted: 3, confirmed: 4}[order.status];
    return at ?? (order.txHash ? 3 : order.dex ? 2 : order.attempts ? 1 : 0);
}
