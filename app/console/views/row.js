// A row of the list; it is used again for another order when its own is out of sight.

import {el, mark, write} from '../lib/dom.js';
import {inShort} from '../lib/failures.js';
import {ago, brief, exactTime, shortId, venueName} from '../lib/format.js';
import {isFinal} from '../lib/orders.js';
import {glyph, STATUSES} from '../lib/statuses.js';
import {setTrack, track} from './track.js';

export class Row {
    #order = null;
    #status = el('span', {role: 'cell', class: 'cell-status'});
    #sold = el('span', {class: 'sold'});
    #bought = el('span', {class: 'bought'});
    #link = el('a', {class: 'row-link'}, this.#sold, el('span', {class: 'arrow', 'aria-hidden': 'true'}, '→'), el('span', {class: 'sr'}, ' for '), this.#bought);
    #track = track();
    #venue = el('span', {role: 'cell', class: 'cell-venue'});
    #wallet = el('span', {role: 'cell', class: 'cell-wallet'});
    #age = el('time');
    root = el('div', {role: 'row', class: 'row'},
        this.#status, el('span', {role: 'cell', class: 'cell-order'}, this.#link), el('span', {role: 'cell', class: 'cell-track'}, this.#track),
        this.#venue, this.#wallet, el('span', {role: 'cell', class: 'cell-age end'}, this.#age));

    get hasFocus() {
        return this.root.contains(document.activeElement);
    }

    focus() {
        this.#link.focus({preventScroll: true});
    }

    clear() {
        this.#order = null;
    }

    /** @param {number} top pixels from the top of the list */
    show(order, index, top) {
        mark(this.root, 'aria-rowindex', index + 2);
        this.root.style.transform = `translateY(${top}px)`;
        if (order === this.#order) {
            return;
        }
        mark(this.root, 'data-fresh', this.#order === null); // nothing fades from the order that was here before
        if (order.status !== this.#order?.status) {
            this.#status.replaceChildren(glyph(order.status), el('span', {class: 'status-name'}, STATUSES[order.status].label));
            mark(this.root, 'data-status', order.status);
        }
        this.#order = order;
        this.root.dataset.id = order.orderId;
        mark(this.#link, 'href', `/orders/${order.orderId}`);
        mark(this.#link, 'title', `Order ${shortId(order.orderId)}`);
        write(this.#sold, `${brief(order.amount)} ${order.tokenIn}`);
        write(this.#bought, bought(order));
        mark(this.#bought, 'data-sure', order.amountOut !== null);
        setTrack(this.#track, order);
        write(this.#venue, order.dex ? venueName(order.dex) : '');
        write(this.#wallet, order.wallet ?? '');
        mark(this.#wallet, 'title', order.wallet);
        mark(this.#age, 'datetime', order.createdAt);
        mark(this.#age, 'title', exactTime(order.createdAt));
        this.tick();
    }

    tick() {
        if (this.#order) {
            write(this.#age, ago(this.#order.createdAt));
        }
    }
}

function bought(order) {
    if (order.status === 'failed') {
        return `${order.tokenOut}, ${inShort(order.failure.code)}`;
    }
    if (order.status === 'pending' && !order.queued) {
        return `${order.tokenOut}, only stored`;
    }
    const out = order.amountOut ?? order.quotedAmountOut;
    return out === null ? order.tokenOut : `${isFinal(order.status) ? '' : '≈ '}${brief(out)} ${order.tokenOut}`;
}
