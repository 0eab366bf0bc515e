// What went wrong in plain words, what became of the funds, and what to do next.

import {el} from '../lib/dom.js';
import {explain} from '../lib/failures.js';
import {glyph} from '../lib/statuses.js';

/** @returns {Node[]} for an order that failed, or is about to be tried again */
export function failureNote(order) {
    const {title, meaning, next, funds} = explain(order.failure);
    const isOver = order.status === 'failed';
    const then = isOver ? next : 'Nothing: the engine quotes, signs and sends it anew by itself.';
    return [
        el('h2', {}, glyph(order.status), isOver ? title : `${title}, trying again`),
        el('p', {}, meaning),
        el('dl', {class: 'facts'},
            el('div', {}, el('dt', {}, 'Funds'), el('dd', {}, funds)),
            el('div', {}, el('dt', {}, 'What to do'), el('dd', {}, then)),
            el('div', {}, el('dt', {}, 'Code'), el('dd', {}, el('code', {}, order.failure.code), ` ${order.failure.message}`))),
    ];
}
