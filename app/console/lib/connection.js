// The one WebSocket of the page: many subscriptions, each resumed after the last thing it has seen.

const FIRST_PAUSE = 250; // milliseconds
const LONGEST_PAUSE = 8000;
const SILENCE = 12_000; // the engine sends a heartbeat every 5 s: after that the line is dead

/**
 * @typedef {object} Follower
 * @property {() => object} request what to ask for, from where it stands now: `{all: true, after: 7}`
 * @property {(event: any) => void} onEvent
 * @property {(gap: any) => void} onGap the subscription has ended: what came in between is gone
 * @property {(error: any) => void} [onError] the subscription was refused
 */

/** Dispatches `state` events; `state` is `connecting`, `live` or `away`. */
export class Connection extends EventTarget {
    #url;
    #socket = null;
    #followers = new Map();
    #names = 0;
    #failures = 0;
    #timer = 0;
    #watchdog = 0;
    state = 'connecting';

    constructor(url) {
        super();
        this.#url = url;
        addEventListener('online', () => this.#hurry());
        document.addEventListener('visibilitychange', () => document.hidden || this.#hurry());
        this.#open();
    }

    /**
     * @param {Follower} follower
     * @returns {() => void} ends it
     */
    follow(follower) {
        const id = `s${++this.#names}`;
        this.#followers.set(id, follower);
        this.#subscribe(id, follower);
        return () => {
            if (this.#followers.delete(id)) {
                this.#send({type: 'unsubscribe', id});
            }
        };
    }

    #open() {
        clearTimeout(this.#timer);
        this.#timer = 0;
        const socket = this.#socket = new WebSocket(this.#url);
        socket.onopen = () => {
            this.#become('live');
            for (const [id, follower] of this.#followers) {
                this.#subscribe(id, follower);
            }
        };
        socket.onmessage = ({data}) => {
            this.#failures = 0;
            this.#listen();
            this.#receive(JSON.parse(data));
        };
        socket.onclose = () => socket === this.#socket && this.#lost();
        this.#listen();
    }

    /** From now on silence means that the line is dead, though nobody has said so. */
    #listen() {
        clearTimeout(this.#watchdog);
        this.#watchdog = setTimeout(() => {
            this.#socket.close();
            this.#lost();
        }, SILENCE);
    }

    #lost() {
        clearTimeout(this.#watchdog);
        this.#socket = null;
        this.#become('away');
        const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures++);
        this.#timer = setTimeout(() => this.#open(), pause * (0.5 + Math.random() / 2));
    }

    /** Something has changed for the better, so there is no reason to wait any longer. */
    #hurry() {
        if (this.#timer) {
            this.#open();
        }
    }

    #subscribe(id, follower) {
        this.#send({type: 'subscribe', id, ...follower.request()});
    }

    #send(message) {
        if (this.#socket?.readyState === WebSocket.OPEN) {
            this.#socket.send(JSON.stringify(message));
        }
    }

    #receive(message) {
        const follower = this.#followers.get(message.id);
        if (message.type === 'heartbeat') {
            this.dispatchEvent(new CustomEvent('heartbeat', {detail: message}));
        } else if (!follower) {
            return; // of a subscription that has just been ended
        } else if (message.type === 'event') {
            follower.onEvent(message);
        } else if (message.type === 'gap') {
            this.#followers.delete(message.id);
            follower.onGap(message);
        } else if (message.type === 'unsubscribed') {
            this.#followers.delete(message.id);
        } else if (message.type === 'error') {
            this.#followers.delete(message.id);
            follower.onError?.(message);
        }
    }

    #become(state) {
        if (this.state !== state) {
            this.state = state;
            this.dispatchEvent(new Event('state'));
        }
    }
}
