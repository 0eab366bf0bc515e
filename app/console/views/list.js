// The list of orders. Only the rows in sight are in the page, however many orders there are.

import {byId, write} from '../lib/dom.js';
import {perFrame} from '../lib/frames.js';
import {Filters} from './filters.js';
import {Row} from './row.js';

const OVERSCAN = 6; // rows beyond either edge
const NEAR_THE_END = 30; // rows, from which older orders are asked for
const TICK = 1000; // milliseconds between looks at the ages

export class OrderList {
    #ledger;
    #body = byId('rows');
    #rows = new Map(); // by the id of their order
    #spare = [];
    #anchor = ''; // the order at the top of what is in sight
    #place = -1; // where it stood in the list
    #newest = ''; // the newest order that was in sight
    #draw = perFrame(() => this.#render());

    constructor(ledger) {
        this.#ledger = ledger;
        new Filters(ledger, () => this.#reset());
        ledger.addEventListener('change', () => this.#render());
        addEventListener('scroll', this.#draw, {passive: true});
        addEventListener('resize', this.#draw);
        this.#body.addEventListener('keydown', (event) => this.#walk(event));
        byId('newer').addEventListener('click', () => this.#toNewest());
        setInterval(() => document.hidden || this.#rows.forEach((row) => row.tick()), TICK);
    }

    /** The page has come into sight again. */
    wake() {
        this.#anchor = '';
        this.#render();
    }

    #reset() {
        this.#anchor = '';
        this.#newest = '';
    }

    #render() {
        if (!this.#body.offsetParent) {
            this.#ledger.trim();
            return; // another view is open
        }
        const height = Number.parseFloat(getComputedStyle(this.#body).getPropertyValue('--row'));
        const {length} = this.#ledger;
        this.#body.style.height = `${length * height}px`;
        this.#keepPlace(height);
        const top = this.#body.getBoundingClientRect().top;
        const first = Math.max(0, Math.floor(-top / height) - OVERSCAN);
        const last = Math.min(length, Math.ceil((innerHeight - top) / height) + OVERSCAN);
        this.#show(first, last, height);
        this.#remember(top, height);
        if (last > length - NEAR_THE_END) {
            this.#ledger.loadOlder();
        }
        this.#sayEnd(length);
    }

    /** New orders push the others down; whoever reads further below keeps what they read where it is. */
    #keepPlace(height) {
        const index = this.#anchor ? this.#ledger.indexOf(this.#anchor) : -1;
        if (index >= 0 && index !== this.#place) {
            scrollBy({top: (index - this.#place) * height, behavior: 'instant'});
        }
    }

    #remember(top, height) {
        const index = Math.floor(-top / height);
        const isRead = index > 0 && index < this.#ledger.length;
        this.#anchor = isRead ? this.#ledger.at(index).orderId : '';
        this.#place = index;
        if (!isRead) {
            this.#newest = this.#ledger.at(0)?.orderId ?? '';
            this.#ledger.trim();
        }
        const newer = isRead && this.#newest ? this.#ledger.indexOf(this.#newest) : 0;
        byId('newer').hidden = newer <= 0;
        write(byId('newer'), `${newer} newer`);
    }

    #show(first, last, height) {
        const wanted = [];
        for (let index = first; index < last; index++) {
            wanted.push(index);
        }
        for (const [id, row] of this.#rows) {
            const index = this.#ledger.indexOf(id);
            if (index >= first && index < last) {
                continue;
            }
            if (row.hasFocus && index >= 0) {
                wanted.push(index); // though it is out of sight: whoever is on it is not lost
            } else {
                this.#rows.delete(id);
                this.#spare.push(row);
                row.root.remove();
            }
        }
        this.#set(wanted.sort((one, other) => one - other), height);
        byId('table').setAttribute('aria-rowcount', String(this.#ledger.isComplete ? this.#ledger.length + 1 : -1));
    }

    /** The rows stand in the page as in the list, for Tab and for those who listen; one that stays is not moved. */
    #set(indices, height) {
        let next = this.#body.firstElementChild;
        for (const index of indices) {
            const order = this.#ledger.at(index);
            let row = this.#rows.get(order.orderId);
            if (!row) {
                row = this.#spare.pop() ?? new Row();
                row.clear();
                this.#rows.set(order.orderId, row);
            }
            if (row.root === next) {
                next = next.nextElementSibling;
            } else {
                this.#body.insertBefore(row.root, next);
            }
            row.show(order, index, index * height);
        }
    }

    /** Arrow keys go from order to order; Tab does, too. */
    #walk(event) {
        const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
        const id = event.target.closest('[data-id]')?.dataset.id;
        const next = step && id ? this.#ledger.at(this.#ledger.indexOf(id) + step) : null;
        if (next) {
            event.preventDefault();
            const row = this.#rows.get(next.orderId);
            row?.focus();
            row?.root.scrollIntoView({block: 'nearest'});
        }
    }

    #toNewest() {
        this.#anchor = '';
        byId('list-title').scrollIntoView({block: 'start'});
        this.#rows.get(this.#ledger.at(0)?.orderId)?.focus();
    }

    #sayEnd(length) {
        const {filter, isLoaded, isComplete} = this.#ledger;
        const nothing = filter.status || filter.wallet ? 'No order matches the filter.' : 'No orders yet. Place the first one.';
        write(byId('list-end'), !isLoaded ? 'Loading orders' : length ? (isComplete ? '' : 'Loading older orders') : nothing);
    }
}
