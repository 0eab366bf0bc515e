// The steps of an order as spans of time, one below the other: when each began, and what it took.

import {el} from '../lib/dom.js';
import {inASentence} from '../lib/failures.js';
import {amount, clockTime, duration, exactTime, now, price, shortSignature, venueName} from '../lib/format.js';
import {isFinal} from '../lib/orders.js';
import {glyph, STATUSES} from '../lib/statuses.js';

const LEAST = 0.006; // of the whole: a span that is shorter is still seen

/**
 * @param {import('../lib/history.js').Step[]} steps
 * @returns {Node[]}
 */
export function timelineView(order, steps) {
    const times = steps.map(({ts}) => Date.parse(ts));
    const isOver = isFinal(order.status);
    const end = isOver ? times.at(-1) : Math.max(now(), times.at(-1));
    const whole = end - times[0] || 1;
    return [
        el('h2', {}, 'Timeline', el('span', {class: 'aside'}, isOver ? ` ${duration(whole)} in all` : ` ${duration(whole)} so far`)),
        el('ol', {class: 'timeline'}, ...steps.map((step, index) => {
            const isLast = index === steps.length - 1;
            const took = (isLast ? end : times[index + 1]) - times[index];
            return entry(order, step, {
                took: isLast && isOver ? '' : duration(took),
                from: (times[index] - times[0]) / whole,
                share: isLast && isOver ? 0 : took / whole,
                isUnderWay: isLast && !isOver,
            });
        })),
    ];
}

function entry(order, step, {took, from, share, isUnderWay}) {
    const bar = el('span', {class: 'span-bar'});
    bar.style.left = `${Math.min(from, 1 - LEAST) * 100}%`;
    bar.style.width = `${Math.max(share, LEAST) * 100}%`;
    return el('li', {class: 'step', data: {status: step.status}, 'aria-current': isUnderWay && 'step'},
        glyph(step.status),
        el('span', {class: 'step-head'},
            el('span', {class: 'step-name'}, STATUSES[step.status].label),
            el('time', {class: 'step-time', datetime: step.ts, title: exactTime(step.ts)}, clockTime(step.ts))),
        el('span', {class: 'step-took'}, took),
        el('span', {class: 'span', 'aria-hidden': 'true'}, bar),
        el('span', {class: 'step-words'}, SENTENCES[step.status](step.data, order)));
}

const SENTENCES = {
    pending: () => 'Accepted, and stored with its job.',
    routing: ({attempt}) => (attempt > 1 ? `Attempt ${attempt}: asking the venues again.` : 'Asking the venues for their price.'),
    building: ({dex, quotes}, {tokenOut}) => `${venueName(dex)} chosen for ${amount(quotes.find((quote) => quote.dex === dex)?.amountOut)} ${tokenOut}.`,
    submitted: ({txHash, minAmountOut}, {tokenOut}) => `${shortSignature(txHash)} signed, stored and sent: ${amount(minAmountOut)} ${tokenOut} or more, or nothing.`,
    confirmed: ({amountOut, executedPrice}, {tokenOut}) => `Received ${amount(amountOut)} ${tokenOut} at ${price(executedPrice)}.`,
    retrying: ({code, attempt, maxAttempts}) => `${inASentence(code)} (attempt ${attempt} of ${maxAttempts}).`,
    failed: ({code}) => `${inASentence(code)}.`,
};
