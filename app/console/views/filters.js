// What the list is narrowed to; it is part of the page's address, so that it can be shared.

import {byId, el} from '../lib/dom.js';
import {STATUSES} from '../lib/statuses.js';

const PAUSE = 250; // milliseconds after the last key before a wallet is looked for
const SHORTEST = 3; // characters of a wallet

/** Names the filter in the address of the page. */
export function showAddress(filter) {
    const given = Object.entries(filter).filter(([, value]) => value);
    history.replaceState(null, '', given.length ? `/?${new URLSearchParams(given)}` : '/');
}

export class Filters {
    #status = byId('filter-status');
    #wallet = byId('filter-wallet');
    #timer = 0;

    /** @param {() => void} onChange before the ledger is narrowed */
    constructor(ledger, onChange) {
        this.#status.append(...Object.entries(STATUSES).map(([value, {label}]) => el('option', {value}, label)));
        const given = new URLSearchParams(location.search);
        this.#status.value = given.get('status') in STATUSES ? given.get('status') : '';
        this.#wallet.value = given.get('wallet') ?? '';
        const apply = () => {
            clearTimeout(this.#timer);
            const filter = this.#chosen();
            if (filter.status !== ledger.filter.status || filter.wallet !== ledger.filter.wallet) {
                onChange();
                ledger.select(filter);
                showAddress(filter);
            }
        };
        this.#status.addEventListener('change', apply);
        this.#wallet.addEventListener('input', () => {
            clearTimeout(this.#timer);
            this.#timer = setTimeout(apply, PAUSE);
        });
        byId('filters').addEventListener('submit', (event) => {
            event.preventDefault();
            apply();
        });
        ledger.filter = this.#chosen();
    }

    #chosen() {
        const wallet = this.#wallet.value.trim();
        return {status: this.#status.value, wallet: wallet.length < SHORTEST ? '' : wallet};
    }
}
