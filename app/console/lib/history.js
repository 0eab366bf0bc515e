// What an order's events say of its attempts.

import {amount, bps, venueName} from './format.js';

/**
 * @typedef {{sequence: number, status: string, ts: string, data: any}} Step
 * @typedef {{number: number, began: string, dex: string|null, quotes: any[], unavailable: any[], route: any, signature: string|null,
 *     quoted: number|null, least: number|null, sent: string|null, ended: Step|null}} Attempt
 */

/** @returns {Step} of an event as the REST calls answer it, the data beside its fields */
export function fromAnswer({orderId: _, sequence, status, ts, ...data}) {
    return {sequence, status, ts, data};
}

/** @returns {Step} of an event as the stream brings it */
export function fromStream({sequence, status, timestamp, data}) {
    return {sequence, status, ts: timestamp, data};
}

/** @param {Step[]} steps @returns {Attempt[]} in order */
export function attemptsOf(steps) {
    const attempts = [];
    for (const step of steps) {
        if (step.status === 'routing') {
            attempts.push({
                number: step.data.attempt ?? attempts.length + 1, began: step.ts, dex: null, quotes: [], unavailable: [], route: null,
                signature: null, quoted: null, least: null, sent: null, ended: null,
            });
        } else if (attempts.length) {
            Object.assign(attempts.at(-1), told(step));
        }
    }
    return attempts;
}

function told(step) {
    const {status, data} = step;
    if (status === 'building') {
        const chosen = data.quotes.find(({dex}) => dex === data.dex);
        return {
            dex: data.dex, quotes: data.quotes, unavailable: data.unavailable ?? [], route: data.route ?? null,
            quoted: chosen?.amountOut ?? null,
        };
    }
    if (status === 'submitted') {
        return {dex: data.dex, signature: data.txHash, least: data.minAmountOut, sent: step.ts};
    }
    return {ended: step};
}

/** Why the venue was chosen, in a sentence or two. */
export function reasonOf({dex, quotes, unavailable}, tokenOut) {
    const best = quotes.find((quote) => quote.dex === dex);
    const other = quotes.find((quote) => quote.dex !== dex);
    if (!best) {
        return '';
    }
    if (!other) {
        const away = unavailable.map((venue) => `${venueName(venue.dex)} gave no quote (${venue.message})`).join('; ');
        return away ? `${venueName(dex)} was the only choice: ${away}.` : `${venueName(dex)} was the only venue that quoted.`;
    }
    const more = Number((best.amountOut - other.amountOut).toFixed(9));
    if (more <= 0) {
        return `${venueName(dex)} and ${venueName(other.dex)} offered the same.`;
    }
    const lead = `${venueName(dex)} offered ${amount(more)} ${tokenOut} (${bps(best.amountOut, other.amountOut)}) more than ${venueName(other.dex)} after fees`;
    if (best.price >= other.price && best.fee <= other.fee) {
        return `${lead}: ${best.fee < other.fee ? 'a better price and a lower fee' : 'a better price at the same fee'}.`;
    }
    return best.price < other.price ? `${lead}: its price was lower, but so was its fee.` : `${lead}: its fee is higher, but its price more than made up for it.`;
}
