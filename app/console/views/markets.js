// The price of every token over the last ten minutes, with the fills of this engine marked where they were.

import * as api from '../lib/api.js';
import {byId, el, svg, write} from '../lib/dom.js';
import {change, price} from '../lib/format.js';
import {repeatedly} from '../lib/frames.js';

const REFRESH = 5000; // milliseconds
const [WIDTH, HEIGHT, EDGE, TICK] = [160, 40, 4, 6];
const PRICED_IN = 'USDC';

const rows = new Map();

/**
 * @param {import('./trade.js').Trade} trade where a market that is clicked is traded
 * @returns {{now: () => void, stop: () => void}}
 */
export function startMarkets(trade) {
    return repeatedly(async (signal) => {
        for (const {symbol} of trade.tokens.filter((token) => token.symbol !== PRICED_IN)) {
            try {
                show(rowOf(symbol, trade), await api.prices(symbol, PRICED_IN, signal));
            } catch {
                if (signal.aborted) {
                    return;
                }
            }
        }
    }, REFRESH);
}

function rowOf(symbol, trade) {
    let row = rows.get(symbol);
    if (!row) {
        row = {price: el('span', {class: 'market-price'}), change: el('span', {class: 'market-change'}), plot: el('span', {class: 'market-plot'})};
        rows.set(symbol, row);
        byId('markets').append(el('li', {}, el('button', {type: 'button', class: 'market', onclick: () => trade.choose(symbol, PRICED_IN)},
            el('span', {class: 'market-pair'}, el('b', {}, symbol), el('span', {class: 'aside'}, ` ${PRICED_IN}`)), row.plot, row.price, row.change)));
    }
    return row;
}

function show(row, {prices, fills}) {
    if (!prices.length) {
        return;
    }
    write(row.price, price(prices.at(-1).price));
    write(row.change, change(prices.at(-1).price / prices[0].price - 1));
    row.plot.replaceChildren(sparkline(prices, fills));
}

/** A line of prices; a tick below it is a fill. Its own price is after fees, and would squeeze the line. */
export function sparkline(prices, fills) {
    const times = prices.map(({ts}) => Date.parse(ts));
    const [from, to] = [times[0], times.at(-1)];
    const seen = fills.map(({ts}) => Date.parse(ts)).filter((time) => time >= from);
    const values = prices.map((point) => point.price);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const x = (time) => round(EDGE + (Math.min(1, (time - from) / (to - from || 1))) * (WIDTH - 2 * EDGE));
    const y = (value) => round(HEIGHT - TICK - EDGE - ((value - low) / (high - low || 1)) * (HEIGHT - TICK - 2 * EDGE));
    const line = prices.map((point, index) => `${index ? 'L' : 'M'}${x(times[index])} ${y(point.price)}`).join('');
    return svg('svg', {class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `between ${price(low)} and ${price(high)}, ${seen.length} fills`},
        svg('path', {class: 'spark-line', d: line}),
        ...seen.map((time) => svg('path', {class: 'spark-fill', d: `M${x(time)} ${HEIGHT}v${-TICK}`})),
        svg('circle', {class: 'spark-now', cx: x(to), cy: y(prices.at(-1).price), r: 2.5}));
}

function round(value) {
    return Math.round(value * 10) / 10;
}
