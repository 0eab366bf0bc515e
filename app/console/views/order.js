// The page of one order: read once, then followed step by step to its end.

import * as api from '../lib/api.js';
import {el, say} from '../lib/dom.js';
import {perFrame} from '../lib/frames.js';
import {fromAnswer, fromStream} from '../lib/history.js';
import {afterEvent, isFinal} from '../lib/orders.js';
import {STATUSES} from '../lib/statuses.js';
import {OrderSheet} from './sheet.js';

const PAUSE = 1000; // milliseconds before a read that failed is tried again
const TICK = 250; // milliseconds between looks at a step that is under way

/** @returns {() => void} leaves it */
export function openOrder(root, id, connection) {
    root.hidden = false;
    document.title = 'Order';
    const page = new OrderPage(root, id, connection);
    return () => {
        page.close();
        root.hidden = true;
        root.replaceChildren();
    };
}

class OrderPage {
    #root;
    #id;
    #connection;
    #sheet = null;
    #order = null;
    #steps = [];
    #leave = () => {};
    #closing = new AbortController();
    #draw = perFrame(() => this.#show());
    #timer = setInterval(() => document.hidden || (this.#order && !isFinal(this.#order.status) && this.#draw()), TICK);

    constructor(root, id, connection) {
        this.#root = root;
        this.#id = id;
        this.#connection = connection;
        root.replaceChildren(message('Loading the order', ''));
        this.#load();
    }

    close() {
        this.#closing.abort();
        this.#leave();
        clearInterval(this.#timer);
    }

    async #load() {
        this.#leave();
        try {
            const {events, ...order} = await api.order(this.#id, this.#closing.signal);
            this.#order = order;
            this.#steps = events.map(fromAnswer);
            this.#draw();
            if (!isFinal(order.status)) {
                this.#follow();
            }
        } catch (error) {
            this.#miss(error);
        }
    }

    #follow() {
        this.#leave = this.#connection.follow({
            request: () => ({orderId: this.#id, after: this.#order.sequence}),
            onEvent: (event) => this.#take(event),
            onGap: () => this.#load(),
            onError: () => setTimeout(() => this.#load(), PAUSE),
        });
    }

    #take(event) {
        if (event.sequence > this.#order.sequence + 1) {
            this.#load();
        } else if (event.sequence === this.#order.sequence + 1) {
            this.#order = afterEvent(this.#order, event);
            this.#steps.push(fromStream(event));
            say(`${STATUSES[event.status].label}. ${STATUSES[event.status].meaning}`);
            this.#draw();
        }
    }

    #miss(error) {
        if (this.#closing.signal.aborted) {
            return;
        }
        const isGone = error instanceof api.Refused && error.status < 500;
        if (isGone) {
            document.title = 'No such order';
            this.#root.replaceChildren(message('There is no such order', `${this.#id} is not the id of an order of this engine. It may have been deleted: orders that ended long ago are, where the engine is run that way.`));
            return;
        }
        this.#root.replaceChildren(message('The engine cannot be reached', 'The order is shown as soon as it can.'));
        this.#sheet = null;
        setTimeout(() => this.#closing.signal.aborted || this.#load(), PAUSE);
    }

    #show() {
        if (this.#closing.signal.aborted) {
            return;
        }
        this.#sheet ??= new OrderSheet(this.#root, this.#order, () => this.#load());
        this.#sheet.show(this.#order, this.#steps);
    }
}

function message(title, text) {
    return el('section', {class: 'order-message'},
        el('a', {class: 'back', href: '/'}, 'All orders'), el('h1', {}, title), el('p', {}, text));
}
