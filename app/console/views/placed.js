// The order that was placed here last, with each of its steps as it is taken, and how long the one before took.

import {el, mark, say, write} from '../lib/dom.js';
import {amount, duration, shortId, venueName} from '../lib/format.js';
import {inASentence} from '../lib/failures.js';
import {isFinal} from '../lib/orders.js';
import {glyph, STATUSES} from '../lib/statuses.js';

export class Placed {
    #root;
    #ledger;
    #orderId = '';
    #last = 0; // time of the last step
    #seen = 0; // its sequence
    #heard = null; // events while an order is being placed: the first may come before its id is known
    #steps = el('ol', {class: 'placed-steps'});
    #link = el('a', {class: 'mono'});
    #outcome = el('p', {class: 'placed-outcome'});

    constructor(root, ledger) {
        this.#root = root;
        this.#ledger = ledger;
        root.append(
            el('p', {class: 'placed-title'}, 'Your order ', this.#link), this.#steps, this.#outcome);
        ledger.addEventListener('event', ({detail}) => {
            this.#heard?.push(detail);
            this.#step(detail);
        });
        ledger.addEventListener('change', () => this.#orderId && this.#settle());
    }

    /** An order is about to be placed. */
    listen() {
        this.#heard = [];
    }

    follow(orderId) {
        const order = this.#ledger.find(orderId);
        this.#orderId = orderId;
        this.#seen = 0;
        this.#steps.replaceChildren();
        write(this.#outcome, '');
        write(this.#link, shortId(orderId));
        mark(this.#link, 'href', `/orders/${orderId}`);
        this.#step({orderId, sequence: 1, status: 'pending', timestamp: order.createdAt});
        this.#heard.forEach((event) => this.#step(event));
        this.#heard = null;
        this.#root.hidden = false;
        this.#settle();
    }

    #step({orderId, sequence, status, timestamp}) {
        const time = Date.parse(timestamp);
        if (orderId !== this.#orderId || sequence < this.#seen) {
            return;
        }
        if (sequence === this.#seen) {
            this.#last = time; // the engine's own time of a step that was assumed
            return;
        }
        const took = sequence > 1 ? `+${duration(time - this.#last)}` : '';
        [this.#seen, this.#last] = [sequence, time];
        this.#steps.append(el('li', {class: 'placed-step', data: {status}},
            glyph(status), el('span', {}, STATUSES[status].label), el('span', {class: 'placed-took'}, took)));
    }

    #settle() {
        const order = this.#ledger.find(this.#orderId);
        if (!order || !isFinal(order.status) || this.#outcome.textContent) {
            return;
        }
        const outcome = order.status === 'confirmed'
            ? `Received ${amount(order.amountOut)} ${order.tokenOut} on ${venueName(order.dex)}.`
            : `${inASentence(order.failure.code)}.`;
        write(this.#outcome, outcome);
        say(`Order ${STATUSES[order.status].label.toLowerCase()}. ${outcome}`);
    }
}
