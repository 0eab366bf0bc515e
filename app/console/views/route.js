// The quotes that the engine compared, what it chose, and why.

import {el} from '../lib/dom.js';
import {amount, bps, percent, price, venueName} from '../lib/format.js';
import {reasonOf} from '../lib/history.js';

const KINDS = {amm_v4: 'AMM v4', clmm: 'CLMM', cpmm: 'CPMM', damm_v2: 'DAMM v2', dlmm: 'DLMM'};

/**
 * @param {import('../lib/history.js').Attempt[]} attempts of which the last that has quotes is shown
 * @returns {Node[]}
 */
export function routeView(order, attempts) {
    const attempt = attempts.findLast(({quotes}) => quotes.length);
    if (!attempt) {
        return [];
    }
    const [best] = attempt.quotes;
    return [
        el('h2', {}, 'Route', attempts.length > 1 && el('span', {class: 'aside'}, ` of attempt ${attempt.number}`)),
        el('p', {class: 'reason'}, reasonOf(attempt, order.tokenOut)),
        el('table', {class: 'figures-table'},
            el('thead', {}, el('tr', {}, ...['Venue', 'Price', 'Fee', `Net, ${order.tokenOut}`, 'Against best'].map((name, index) => el('th', {scope: 'col', class: ['', 'end price', 'end', 'end net', 'end'][index]}, name)))),
            el('tbody', {}, ...attempt.quotes.map((quote) => el('tr', {'data-chosen': quote.dex === attempt.dex},
                el('th', {scope: 'row'}, venueName(quote.dex), quote.dex === attempt.dex && el('span', {class: 'tag'}, 'chosen')),
                el('td', {class: 'end price'}, price(quote.price)), el('td', {class: 'end'}, percent(quote.fee)),
                el('td', {class: 'end net'}, amount(quote.amountOut)),
                el('td', {class: 'end'}, quote === best ? '–' : bps(quote.amountOut, best.amountOut)))),
            ...attempt.unavailable.map(({dex, message}) => el('tr', {},
                el('th', {scope: 'row'}, venueName(dex)), el('td', {colspan: '4'}, message))))),
        ...(attempt.route ? plan(attempt.route, order) : []),
    ];
}

/** Through which pools it goes, in one transaction, and what that is worth. */
function plan({legs, bestSinglePool, saving}, order) {
    return [
        el('h3', {}, 'Plan', el('span', {class: 'aside'}, legs.length > 1 ? ` ${legs.length} legs in one transaction` : ' one pool')),
        el('ol', {class: 'legs'}, ...legs.map((leg) => el('li', {class: 'leg-of-plan'},
            el('span', {}, `${amount(leg.amountIn)} ${leg.tokenIn}`, el('span', {class: 'arrow'}, ' → '), `${amount(leg.amountOut)} ${leg.tokenOut}`),
            el('span', {class: 'aside'}, `${poolOf(leg)}, fee ${percent(leg.fee)}`)))),
        el('p', {class: 'aside'}, worth(bestSinglePool, saving, order)),
    ];
}

function worth(single, saving, {tokenOut}) {
    if (single === null) {
        return 'No pool exchanges these two tokens directly.';
    }
    const alone = `The best single pool, ${poolOf(single)}, would have paid ${amount(single.amountOut)} ${tokenOut}`;
    return saving > 0 ? `${alone}; the plan is worth ${amount(saving)} ${tokenOut} more, the cost of its legs deducted.` : `${alone}.`;
}

function poolOf({dex, kind, pool}) {
    return [venueName(dex), KINDS[kind] ?? kind, pool.length > 12 ? `${pool.slice(0, 4)}…${pool.slice(-4)}` : pool].filter(Boolean).join(' ');
}
