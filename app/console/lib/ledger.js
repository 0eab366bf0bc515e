// The account's orders: a snapshot, and from its position on every event, so that together they are the ledger.

import * as api from './api.js';
import {perFrame} from './frames.js';
import {afterEvent, fromFirstEvent} from './orders.js';

const PAGE = 100;
const MOST = 3000; // orders that are kept; beyond, a new snapshot takes their place
const PAUSE = 1000; // milliseconds before a snapshot that failed is tried again

/** Dispatches `change` once per frame, and `event` for every event that was applied. */
export class Ledger extends EventTarget {
    #connection;
    #orders = new Map();
    #ids = []; // of the orders that are listed, oldest first: new ones are appended
    #arrived = []; // events of the frame under way
    #position = 0;
    #cursor = null;
    #loading = null; // what the snapshot under way, or the last one, is given up with
    #isLoading = false;
    #leave = () => {};
    #changed = perFrame(() => this.#apply());
    filter = {status: '', wallet: ''};
    isLoaded = false;
    isComplete = false; // nothing older is left to load

    constructor(connection) {
        super();
        this.#connection = connection;
    }

    get length() {
        return this.#ids.length;
    }

    /** @returns {import('./orders.js').Order} the order in this place of the list, newest first */
    at(index) {
        return this.#orders.get(this.#ids[this.#ids.length - 1 - index]);
    }

    find(id) {
        return this.#orders.get(id);
    }

    /** How many listed orders are newer than this one. */
    indexOf(id) {
        const place = this.#placeOf(id);
        return this.#ids[place] === id ? this.#ids.length - 1 - place : -1;
    }

    /** Shows orders of this status and wallet alone; empty: of all. */
    select(filter) {
        this.filter = filter;
        return this.load();
    }

    /** A snapshot, and what happens after it. Whatever was known is known anew. */
    async load() {
        this.#loading?.abort();
        const own = this.#loading = new AbortController();
        this.#isLoading = true;
        this.#leave();
        try {
            const page = await api.orders({...this.filter, limit: PAGE}, own.signal);
            this.#orders = new Map(page.orders.map((order) => [order.orderId, order]));
            this.#ids = [];
            this.#arrived = [];
            this.#position = page.asOf;
            this.#take(page);
            this.isLoaded = true;
            this.#isLoading = false;
            this.#leave = this.#connection.follow({
                request: () => ({all: true, after: this.#arrived.at(-1)?.position ?? this.#position}),
                onEvent: (event) => this.#arrive(event),
                onGap: () => this.load(),
                onError: () => setTimeout(() => this.load(), PAUSE),
            });
        } catch {
            if (!own.signal.aborted) {
                setTimeout(() => own === this.#loading && this.load(), PAUSE);
            }
        }
    }

    /** The next older orders; at most once at a time. */
    async loadOlder() {
        if (this.#cursor === null || this.isLoadingOlder) {
            return;
        }
        const own = this.#loading;
        this.isLoadingOlder = true;
        try {
            const page = await api.orders({...this.filter, limit: PAGE, cursor: this.#cursor}, own.signal);
            this.#take(page);
        } catch {
            // asked for again by the next scroll
        } finally {
            this.isLoadingOlder = false;
        }
    }

    /** An order whose first event is still on its way. */
    expect(order) {
        if (!this.#orders.has(order.orderId)) {
            this.#put(order);
            this.#changed();
        }
    }

    /** Where the list is read at its beginning, those at its end can be forgotten. */
    trim() {
        if (this.#orders.size > MOST && !this.#isLoading) {
            this.load();
        }
    }

    #take(page) {
        this.#cursor = page.nextCursor;
        this.isComplete = !page.hasMore;
        for (const order of page.orders) {
            // What the stream has told of it meanwhile is newer than the page.
            const known = this.#orders.get(order.orderId);
            this.#put(known && known.sequence > order.sequence ? known : order);
        }
        this.#changed();
    }

    #arrive(event) {
        this.#arrived.push(event);
        this.#changed();
    }

    #apply() {
        for (const event of this.#arrived) {
            if (event.position > this.#position) {
                this.#position = event.position;
                this.#enter(event);
            }
        }
        this.#arrived = [];
        this.dispatchEvent(new Event('change'));
    }

    #enter(event) {
        const known = this.#orders.get(event.orderId);
        if (event.order && !known) {
            this.#put(fromFirstEvent(event));
        } else if (known && event.sequence === known.sequence + 1) {
            this.#put(afterEvent(known, event));
        } else if (known ? event.sequence > known.sequence : this.#isWanted(event)) {
            this.#fetch(event.orderId);
        }
        this.dispatchEvent(new CustomEvent('event', {detail: event}));
    }

    /** Whether an order that was not loaded, for it is old or has another status, is to be listed now. */
    #isWanted({status, orderId}) {
        const oldest = this.#ids[0];
        return status === this.filter.status && (this.isComplete || (oldest !== undefined && orderId > oldest));
    }

    async #fetch(id) {
        const own = this.#loading;
        const order = await api.order(id, own.signal).catch(() => null);
        if (order && !own.signal.aborted && order.sequence > (this.#orders.get(id)?.sequence ?? 0)) {
            this.#put(order);
            this.#changed();
        }
    }

    #put(order) {
        this.#orders.set(order.orderId, order);
        const place = this.#placeOf(order.orderId);
        const isListed = this.#ids[place] === order.orderId;
        if (this.#fits(order) !== isListed) {
            this.#ids.splice(place, isListed ? 1 : 0, ...(isListed ? [] : [order.orderId]));
        }
    }

    #fits({status, wallet}) {
        return (this.filter.status || status) === status && (!this.filter.wallet || this.filter.wallet === wallet);
    }

    /** Ids are made in the order of time, and so compare. */
    #placeOf(id) {
        let [low, high] = [0, this.#ids.length];
        if (high && this.#ids[high - 1] < id) {
            return high;
        }
        while (low < high) {
            const middle = (low + high) >> 1;
            if (this.#ids[middle] < id) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}
