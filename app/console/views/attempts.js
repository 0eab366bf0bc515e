// Every attempt at the order, with the signature that it stands and falls with.

import {copy, el} from '../lib/dom.js';
import {inASentence} from '../lib/failures.js';
import {amount, clockTime, exactTime, shortSignature, venueName} from '../lib/format.js';
import {glyph} from '../lib/statuses.js';

/**
 * @param {import('../lib/history.js').Attempt[]} attempts
 * @returns {Node[]}
 */
export function attemptsTable(order, attempts) {
    if (!attempts.length) {
        return [];
    }
    return [
        el('h2', {}, 'Attempts'),
        el('ol', {class: 'attempts'}, ...attempts.map((attempt) => el('li', {class: 'attempt'},
            el('span', {class: 'attempt-number'}, `${attempt.number}`),
            el('div', {class: 'attempt-what'},
                el('p', {}, outcome(attempt, order)),
                el('p', {class: 'aside'}, attempt.dex ? `${venueName(attempt.dex)}, ` : '', el('time', {datetime: attempt.began, title: exactTime(attempt.began)}, clockTime(attempt.began)),
                    attempt.least === null ? '' : `, at least ${amount(attempt.least)} ${order.tokenOut}`)),
            signature(attempt)))),
    ];
}

function outcome({ended, signature}, order) {
    const status = ended?.status ?? order.status;
    const words = {
        confirmed: 'Landed',
        retrying: `${ended && inASentence(ended.data.code)}`,
        failed: `${ended && inASentence(ended.data.code)}`,
    }[status] ?? (signature ? 'Sent, not known to have landed' : 'Under way');
    const node = el('span', {class: 'attempt-outcome', data: {status}}, words);
    node.prepend(glyph(status === 'retrying' ? 'failed' : status));
    return node;
}

function signature({signature: text}) {
    if (!text) {
        return el('p', {class: 'attempt-signature aside'}, 'nothing was signed');
    }
    const button = el('button', {type: 'button', class: 'quiet', 'aria-label': `Copy the signature ${shortSignature(text)}`, onclick: () => copy(text, button)}, 'Copy');
    return el('p', {class: 'attempt-signature'}, el('code', {title: text}, shortSignature(text)), button);
}
