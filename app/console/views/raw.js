// The order's events as the engine keeps them, digit for digit; read when somebody asks for them.

import * as api from '../lib/api.js';
import {copy, el, write} from '../lib/dom.js';
import {indented} from '../lib/format.js';

export class RawEvents {
    #id;
    #text = el('code');
    #last = 0; // sequence of the last event that there is
    #sequence = 0; // up to which the text goes
    root;

    constructor(id) {
        this.#id = id;
        const button = el('button', {type: 'button', class: 'quiet', onclick: () => copy(this.#text.textContent, button)}, 'Copy');
        this.root = el('details', {class: 'card order-raw', ontoggle: () => this.refresh(this.#last)},
            el('summary', {}, el('h2', {}, 'Raw events')), button, el('pre', {tabindex: '0', 'aria-label': 'Raw events'}, this.#text));
    }

    /** @param {number} sequence of the last event */
    async refresh(sequence) {
        this.#last = sequence;
        if (!this.root.open || sequence <= this.#sequence) {
            return;
        }
        const before = this.#sequence;
        this.#sequence = sequence;
        try {
            write(this.#text, indented(await api.rawEvents(this.#id)));
        } catch {
            this.#sequence = before;
            write(this.#text, 'The engine cannot be reached.');
        }
    }
}
