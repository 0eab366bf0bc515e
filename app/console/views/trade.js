// The trade panel: what to sell, what each venue pays for it now, and the order that comes of it.

import * as api from '../lib/api.js';
import {byId, el, mark, say, write} from '../lib/dom.js';
import {amount as inWords} from '../lib/format.js';
import {repeatedly} from '../lib/frames.js';
import {Placed} from './placed.js';
import {Quotes} from './quotes.js';

const REFRESH = 1000; // milliseconds between quotes
const AMOUNT = /^(?=.*[1-9])\d*\.?\d*$/;
const MOST_BPS = 5000;

export class Trade {
    #ledger;
    #form = byId('trade');
    #amount = byId('trade-amount');
    #tokenIn = byId('trade-in');
    #tokenOut = byId('trade-out');
    #bps = byId('trade-bps');
    #quotes = new Quotes(byId('quotes'));
    #placed;
    #loop = null;
    tokens = [];

    constructor(ledger) {
        this.#ledger = ledger;
        this.#placed = new Placed(byId('placed'), ledger);
        this.#form.addEventListener('submit', (event) => {
            event.preventDefault();
            this.#place();
        });
        this.#form.addEventListener('input', () => this.#changed());
        byId('trade-swap').addEventListener('click', () => this.choose(this.#tokenOut.value, this.#tokenIn.value));
        this.#bps.addEventListener('input', () => {
            byId('trade-other').checked = true;
        });
        this.#tokenIn.addEventListener('change', () => this.#keepApart(this.#tokenOut, this.#tokenIn));
        this.#tokenOut.addEventListener('change', () => this.#keepApart(this.#tokenIn, this.#tokenOut));
    }

    /** @param {{symbol: string, name: string}[]} tokens that can be traded */
    offer(tokens) {
        this.tokens = tokens;
        for (const select of [this.#tokenIn, this.#tokenOut]) {
            select.replaceChildren(...tokens.map(({symbol, name}) => el('option', {value: symbol, title: name}, symbol)));
        }
        this.choose(tokens[0].symbol, tokens[1].symbol);
    }

    choose(tokenIn, tokenOut) {
        this.#tokenIn.value = tokenIn;
        this.#tokenOut.value = tokenOut;
        this.#changed();
    }

    wake() {
        this.#loop = repeatedly((signal) => this.#ask(signal), REFRESH);
    }

    rest() {
        this.#loop.stop();
    }

    #changed() {
        this.#complain('');
        this.#quotes.doubt();
        this.#loop?.now();
    }

    /** Both being the same, the other one gives way. */
    #keepApart(other, chosen) {
        if (other.value === chosen.value) {
            other.value = this.tokens.find(({symbol}) => symbol !== chosen.value).symbol;
            this.#changed();
        }
    }

    get #swap() {
        return {tokenIn: this.#tokenIn.value, tokenOut: this.#tokenOut.value, amount: this.#amount.value.trim()};
    }

    /** Basis points; NaN: not understood. */
    get #slippage() {
        const text = this.#form.elements.slippage.value || this.#bps.value.trim();
        const bps = /^\d+$/.test(text) ? Number(text) : NaN;
        return bps >= 1 && bps <= MOST_BPS ? bps : NaN;
    }

    async #ask(signal) {
        const swap = this.#swap;
        if (!this.tokens.length || !AMOUNT.test(swap.amount)) {
            this.#show(null);
            return;
        }
        try {
            this.#show(await api.quotes({...swap, slippageBps: this.#slippage || ''}, signal));
        } catch (error) {
            if (!signal.aborted) {
                this.#show(null, error instanceof api.Refused ? error.message : 'The engine cannot be reached.');
            }
        }
    }

    #show(answer, refusal = '') {
        this.#quotes.show(answer, refusal);
        write(byId('trade-estimate'), inWords(answer?.quotes[0]?.amountOut));
    }

    async #place() {
        const request = {type: 'market', ...this.#swap, slippageBps: this.#slippage};
        const wallet = byId('trade-wallet').value.trim();
        if (!AMOUNT.test(request.amount)) {
            this.#complain('Enter an amount above zero, in digits: 1.25', this.#amount);
            return;
        }
        if (Number.isNaN(request.slippageBps)) {
            this.#complain(`Enter a tolerance between 1 and ${MOST_BPS} basis points.`, this.#bps);
            return;
        }
        await this.#send(wallet ? {...request, wallet} : request);
    }

    async #send(request) {
        const button = byId('trade-place');
        mark(button, 'aria-busy', 'true');
        button.disabled = true;
        this.#placed.listen();
        try {
            const orderId = await api.place(request);
            this.#ledger.expect(accepted(orderId, request));
            this.#placed.follow(orderId);
            this.#complain('');
            say(`Order placed: ${request.amount} ${request.tokenIn} for ${request.tokenOut}`);
        } catch (error) {
            this.#complain(reason(error));
        } finally {
            button.disabled = false;
            mark(button, 'aria-busy', null);
            button.focus({preventScroll: true});
        }
    }

    #complain(text, field = null) {
        write(byId('trade-problem'), text);
        mark(this.#amount, 'aria-invalid', field === this.#amount && 'true');
        mark(this.#bps, 'aria-invalid', field === this.#bps && 'true');
        field?.focus();
    }
}

/** The order as it stands, until its first event says so. */
function accepted(orderId, request) {
    const time = new Date().toISOString();
    return {
        wallet: null, ...request, amount: Number(request.amount), orderId, status: 'pending', sequence: 1, queued: true,
        attempts: 0, dex: null, quotedAmountOut: null, minAmountOut: null, amountOut: null, executedPrice: null,
        txHash: null, failure: null, createdAt: time, updatedAt: time,
    };
}

function reason(error) {
    if (!(error instanceof api.Refused)) {
        return 'The engine cannot be reached; whether the order was stored is not known. Look at the list before you place it again.';
    }
    if (error.code === 'rate_limited') {
        return `Too many orders in a minute. Try again in ${error.retryAfter} s.`;
    }
    return error.errors.map(({pointer, detail}) => `${pointer?.replace(/^#\/?/, '') ?? ''} ${detail}`).join('; ') || error.message;
}
