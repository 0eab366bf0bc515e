// What the venues pay now, side by side. Each keeps its place, whichever is better.

import {el, mark, write} from '../lib/dom.js';
import {amount, bps, percent, price, venueName} from '../lib/format.js';

const LINES = [
    ['price', 'Price', (quote) => price(quote.price)],
    ['fee', 'Fee', (quote) => percent(quote.fee)],
    ['priceImpact', 'Impact', (quote) => percent(quote.priceImpact)],
    ['minAmountOut', 'Minimum', (quote) => amount(quote.minAmountOut)],
];

export class Quotes {
    #root;
    #cards = new Map();
    #note = el('p', {class: 'quotes-note'});

    constructor(root) {
        this.#root = root;
        this.#root.append(this.#note);
    }

    /** The numbers are of another amount than the one that is asked about now. */
    doubt() {
        mark(this.#root, 'data-stale', true);
    }

    /** @param {any} answer of `GET /api/quotes`; null: there is none, and `refusal` says why */
    show(answer, refusal = '') {
        mark(this.#root, 'data-stale', answer === null);
        write(this.#note, refusal);
        if (answer === null) {
            return;
        }
        const venues = [...answer.quotes, ...answer.unavailable].map(({dex}) => dex).sort();
        this.#keep(venues);
        for (const quote of answer.quotes) {
            this.#fill(this.#cards.get(quote.dex), quote, answer);
        }
        for (const {dex, message} of answer.unavailable) {
            const card = this.#cards.get(dex);
            mark(card.root, 'data-state', 'away');
            write(card.out, 'No quote');
            write(card.badge, message);
            card.lines.forEach((line) => write(line, '–'));
        }
    }

    #keep(venues) {
        for (const [dex, card] of this.#cards) {
            if (!venues.includes(dex)) {
                card.root.remove();
                this.#cards.delete(dex);
            }
        }
        for (const dex of venues) {
            if (!this.#cards.has(dex)) {
                const card = aCard(dex);
                this.#cards.set(dex, card);
                this.#root.insertBefore(card.root, this.#note);
            }
        }
    }

    #fill(card, quote, {best, quotes}) {
        const isBest = quote.dex === best;
        const other = quotes.find(({dex}) => dex !== best);
        mark(card.root, 'data-state', isBest ? 'best' : 'other');
        write(card.out, amount(quote.amountOut));
        write(card.badge, isBest ? `Best${other ? ` ${bps(quote.amountOut, other.amountOut)}` : ''}` : bps(quote.amountOut, quotes[0].amountOut));
        LINES.forEach(([name, , text]) => write(card.lines.get(name), text(quote)));
    }
}

function aCard(dex) {
    const out = el('p', {class: 'quote-out'});
    const badge = el('p', {class: 'quote-badge'});
    const lines = new Map(LINES.map(([name]) => [name, el('dd')]));
    const root = el('div', {class: 'quote', data: {dex}},
        el('h3', {class: 'quote-venue'}, venueName(dex)), out, badge,
        el('dl', {class: 'quote-lines'}, ...LINES.map(([name, label]) => el('div', {}, el('dt', {}, label), lines.get(name)))));
    return {root, out, badge, lines};
}
