// What an order's status looks like and means: a shape of its own, so that it can be told without its colour.

import {svg} from './dom.js';

/** A disc that fills with the steps taken; a ring with a gap; a tick; a cross in a square. */
const SHAPES = {
    pending: ['M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11'],
    routing: ['M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11', 'M8 8V2.5A5.5 5.5 0 0 1 13.5 8Z'],
    building: ['M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11', 'M8 2.5a5.5 5.5 0 0 1 0 11Z'],
    submitted: ['M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 1 1 0-11', 'M8 8V2.5A5.5 5.5 0 1 1 2.5 8Z'],
    retrying: ['M12.8 5.2A5.5 5.5 0 1 0 13.5 8', 'M13.9 2.2v4.2H9.7Z'],
    confirmed: ['M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13', 'M5 8.2l2.1 2.1L11 6'],
    failed: ['M2 2h12v12H2Z', 'M5.5 5.5l5 5m0-5l-5 5'],
};

/** @type {Record<string, {label: string, meaning: string}>} */
export const STATUSES = {
    pending: {label: 'Pending', meaning: 'Accepted and stored; it waits for a worker.'},
    routing: {label: 'Routing', meaning: 'A worker holds it and asks the venues.'},
    building: {label: 'Building', meaning: 'A venue is chosen; the transaction is being signed.'},
    submitted: {label: 'Submitted', meaning: 'The signed transaction is stored and sent.'},
    retrying: {label: 'Retrying', meaning: 'An attempt failed; the next one is scheduled.'},
    confirmed: {label: 'Confirmed', meaning: 'The swap landed.'},
    failed: {label: 'Failed', meaning: 'The order ended without a fill.'},
};

export const STEPS = ['pending', 'routing', 'building', 'submitted', 'confirmed'];

/** The shape of a status; its name is written beside it wherever it is drawn. */
export function glyph(status) {
    return svg('svg', {class: `glyph is-${status}`, viewBox: '0 0 16 16', 'aria-hidden': 'true'},
        ...SHAPES[status].map((d, index) => svg('path', {d, class: index ? 'glyph-inner' : 'glyph-outer'})));
}
