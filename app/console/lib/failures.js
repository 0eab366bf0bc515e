// Failures in plain words: what happened, and what to do next.

/** @type {Record<string, {short: string, title: string, meaning: string, next: string}>} */
const FAILURES = {
    quote_timeout: {
        short: 'no answer',
        title: 'No venue answered in time',
        meaning: 'Neither venue gave a price before the deadline, so nothing was signed or sent.',
        next: 'Place the order again. If it keeps happening, look at the venues in Pulse.',
    },
    venue_unavailable: {
        short: 'no venue',
        title: 'No venue could trade',
        meaning: 'No venue could quote, or the chosen one did not build the transaction.',
        next: 'Place the order again in a moment. If it keeps happening, look at the venues in Pulse.',
    },
    transaction_dropped: {
        short: 'dropped',
        title: 'The venue dropped the transaction',
        meaning: 'The venue refused the transaction before it could land. It never will.',
        next: 'Place the order again; the new one is quoted and signed anew.',
    },
    transaction_expired: {
        short: 'expired',
        title: 'The transaction expired',
        meaning: 'It passed its last valid block height without landing. It never will.',
        next: 'Place the order again; the new one is quoted and signed anew.',
    },
    execution_failed: {
        short: 'failed on chain',
        title: 'The transaction failed on chain',
        meaning: 'It was recorded as failed, so no tokens were exchanged.',
        next: 'Place the order again. A failure like this is usually over with the next attempt.',
    },
    slippage_exceeded: {
        short: 'price moved',
        title: 'The price moved beyond the tolerance',
        meaning: 'When the transaction landed, it would have paid less than the least you accept. It paid nothing instead.',
        next: 'Place the order again with a wider tolerance, or sell a smaller amount to move the price less.',
    },
    unknown_token: {
        short: 'not traded',
        title: 'A token is not traded any more',
        meaning: 'The order was stored, but no venue knows one of its tokens now.',
        next: 'Place an order for another pair.',
    },
    unfillable_amount: {
        short: 'cannot be filled',
        title: 'No venue can fill this amount',
        meaning: 'The amount is too large for the pools, or so small that it buys nothing.',
        next: 'Place the order again with another amount; the quotes show what can be filled.',
    },
    poisoned: {
        short: 'set aside',
        title: 'The order was set aside',
        meaning: 'Five workers died while they held it, so no further one was risked.',
        next: 'Find out why in the workers’ logs; then `order-engine requeue` with this id places it again as a new order.',
    },
};

const FUNDS = {
    no: 'No funds moved.',
    yes: 'Funds moved.',
    unknown: 'Whether funds moved is not known: look its last signature up on the chain before you do anything else.',
};

/** @param {{code: string, message: string, fundsMoved: string}} failure */
export function explain({code, message, fundsMoved}) {
    const known = FAILURES[code] ?? {
        title: 'The order failed', meaning: message, next: 'Look at the raw events below for what the engine knows.',
    };
    return {...known, funds: FUNDS[fundsMoved] ?? FUNDS.unknown, next: fundsMoved === 'unknown' ? FUNDS.unknown : known.next};
}

/** In two words, for the list. */
export function inShort(code) {
    return FAILURES[code]?.short ?? code;
}

/** In one sentence, without its full stop. */
export function inASentence(code) {
    return FAILURES[code]?.title ?? code;
}
