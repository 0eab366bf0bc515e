// The steps of an order as a short track that lights up as they are taken.

import {el, mark, write} from '../lib/dom.js';
import {progress} from '../lib/orders.js';
import {STATUSES, STEPS} from '../lib/statuses.js';

/** @returns {HTMLElement} */
export function track() {
    return el('span', {class: 'track'},
        ...STEPS.map((step) => el('span', {class: 'track-step', 'aria-hidden': 'true', data: {step}})),
        el('span', {class: 'sr'}));
}

/** Shows how far the order is. */
export function setTrack(node, order) {
    const taken = progress(order);
    STEPS.forEach((step, index) => mark(node.children[index], 'data-state', stateOf(index, taken, order.status)));
    write(node.lastChild, `step ${taken + 1} of ${STEPS.length}${order.attempts > 1 ? `, attempt ${order.attempts}` : ''}`);
    mark(node, 'title', `${STATUSES[order.status].label}: ${STATUSES[order.status].meaning}`);
}

function stateOf(index, taken, status) {
    if (index > taken) {
        return 'ahead';
    }
    if (index < taken || status === 'confirmed') {
        return status === 'confirmed' ? 'filled' : 'done';
    }
    return status === 'failed' || status === 'retrying' ? status : 'now';
}
