// What the page of an order is laid out of; each part is made anew only when it says something else.

import * as api from '../lib/api.js';
import {copy, el, mark, write} from '../lib/dom.js';
import {ago, amount, duration, exactTime, percent, price, venueName} from '../lib/format.js';
import {attemptsOf} from '../lib/history.js';
import {isFinal} from '../lib/orders.js';
import {glyph, STATUSES} from '../lib/statuses.js';
import {attemptsTable} from './attempts.js';
import {curlCard} from './curl.js';
import {failureNote} from './failure.js';
import {RawEvents} from './raw.js';
import {routeView} from './route.js';
import {scaleView} from './scale.js';
import {timelineView} from './timeline.js';

export class OrderSheet {
    #title = el('h1', {class: 'order-title', tabindex: '-1'});
    #status = el('p', {class: 'order-status'});
    #placed = el('time');
    #figures = el('dl', {class: 'order-figures'});
    #parts = {};
    #shown = {};
    #raw;
    #reload;

    /** @param {() => void} reload reads the order anew */
    constructor(root, order, reload) {
        this.#reload = reload;
        this.#raw = new RawEvents(order.orderId);
        for (const name of ['notice', 'timeline', 'scale', 'route', 'attempts']) {
            this.#parts[name] = el('section', {class: `card order-${name}`, hidden: true});
        }
        root.replaceChildren(
            el('a', {class: 'back', href: '/'}, 'All orders'),
            el('header', {class: 'order-head'},
                el('div', {class: 'order-name'}, this.#title, this.#status), this.#figures, this.#about(order)),
            this.#parts.notice,
            el('div', {class: 'order-grid'},
                this.#parts.timeline, el('div', {class: 'order-side'}, this.#parts.scale, this.#parts.route, this.#parts.attempts)),
            curlCard(order), this.#raw.root);
        document.title = `${amount(order.amount)} ${order.tokenIn} for ${order.tokenOut}`;
    }

    show(order, steps) {
        const attempts = attemptsOf(steps);
        write(this.#title, `Sell ${amount(order.amount)} ${order.tokenIn} for ${order.tokenOut}`);
        if (this.#shown.status !== order.status) {
            this.#status.replaceChildren(glyph(order.status), STATUSES[order.status].label);
            mark(this.#status, 'data-status', order.status);
            this.#shown.status = order.status;
        }
        write(this.#placed, ago(order.createdAt) === 'now' ? 'just now' : `${ago(order.createdAt)} ago`);
        const {sequence} = order;
        this.#part('notice', [sequence, order.queued], () => this.#notice(order));
        this.#part('timeline', isFinal(order.status) ? [sequence] : [sequence, Math.random()], () => timelineView(order, steps));
        this.#part('scale', [sequence], () => scaleView(order, attempts));
        this.#part('route', [sequence], () => routeView(order, attempts));
        this.#part('attempts', [sequence], () => attemptsTable(order, attempts));
        this.#figures.replaceChildren(...figures(order, steps));
        this.#raw.refresh(sequence);
    }

    #part(name, key, make) {
        const text = String(key);
        if (this.#shown[name] !== text) {
            this.#shown[name] = text;
            const children = make();
            this.#parts[name].hidden = children.length === 0;
            this.#parts[name].replaceChildren(...children);
        }
    }

    #about(order) {
        mark(this.#placed, 'datetime', order.createdAt);
        mark(this.#placed, 'title', exactTime(order.createdAt));
        const button = (label, text) => el('button', {type: 'button', class: 'quiet', onclick: (event) => copy(text(), event.currentTarget)}, label);
        return el('div', {class: 'order-about'},
            el('p', {}, el('code', {}, order.orderId)),
            el('p', {}, 'Placed ', this.#placed, `, tolerance ${percent(order.slippageBps / 10_000)}`,
                order.wallet && el('span', {}, ', wallet ', el('code', {}, order.wallet))),
            el('p', {class: 'order-tools'}, button('Copy id', () => order.orderId), button('Copy link', () => location.href)));
    }

    #notice(order) {
        if (order.failure && (order.status === 'failed' || order.status === 'retrying')) {
            return failureNote(order);
        }
        if (order.queued || isFinal(order.status)) {
            return [];
        }
        const send = async () => {
            await api.execute(order.orderId).catch(() => null); // refused: somebody else was faster
            this.#reload();
        };
        return [el('h2', {}, 'Only stored'),
            el('p', {}, 'This order was stored and not handed to the workers. It waits until somebody executes it.'),
            el('p', {}, el('button', {type: 'button', class: 'primary is-small', onclick: send}, 'Execute now'))];
    }
}

function figures(order, steps) {
    const isFilled = order.status === 'confirmed';
    const took = (isFinal(order.status) ? Date.parse(steps.at(-1).ts) : NaN) - Date.parse(order.createdAt);
    const out = isFilled ? order.amountOut : order.quotedAmountOut;
    return [
        ['Received', isFilled ? amount(out) : order.status === 'failed' ? 'nothing' : '–', isFilled && order.tokenOut],
        [isFilled ? 'Price paid' : 'Price quoted', out === null ? '–' : price(out / order.amount)],
        ['Venue', order.dex ? venueName(order.dex) : '–'],
        ['Took', Number.isNaN(took) ? '–' : duration(took)],
    ].map(([name, value, unit]) => el('div', {}, el('dt', {}, name), el('dd', {}, value, unit && el('span', {class: 'unit'}, ` ${unit}`))));
}
