// What was quoted, what was paid, and the least that was accepted, on one scale.

import {el, svg} from '../lib/dom.js';
import {amount, bps, price} from '../lib/format.js';

const [WIDTH, HEIGHT] = [480, 56];
const MIDDLE = HEIGHT / 2;
const MARGIN = 28; // beyond the outermost mark

/**
 * @param {import('../lib/history.js').Attempt[]} attempts
 * @returns {Node[]}
 */
export function scaleView(order, attempts) {
    const attempt = attempts.findLast(({least}) => least !== null);
    if (!attempt || attempt.quoted === null) {
        return [];
    }
    const {quoted, least} = attempt;
    const paid = order.status === 'confirmed' ? order.amountOut : null;
    const items = [
        ['least', 'Least accepted', least],
        ['quoted', 'Quoted', quoted],
        ...(paid === null ? [] : [['paid', 'Executed', paid]]),
    ];
    return [
        el('h2', {}, 'Price'),
        el('p', {class: 'reason'}, verdict(order, quoted, least, paid)),
        drawing(quoted, least, paid),
        el('dl', {class: 'scale-legend'}, ...items.map(([kind, name, value]) => el('div', {},
            el('dt', {}, sample(kind), name),
            el('dd', {}, `${amount(value)} ${order.tokenOut}`, el('span', {class: 'aside'}, `at ${price(value / order.amount)}${kind === 'quoted' ? '' : `, ${bps(value, quoted)}`}`))))),
    ];
}

function verdict({status, failure}, quoted, least, paid) {
    if (paid !== null) {
        return paid >= quoted
            ? 'It paid at least what was quoted.'
            : `It paid less than quoted, within the tolerance: ${Math.round(((quoted - paid) / (quoted - least)) * 100)}\u00a0% of it was used.`;
    }
    if (status === 'failed') {
        return failure.code === 'slippage_exceeded' ? 'It would have paid less than the least accepted, so it paid nothing.' : 'Nothing was paid.';
    }
    return 'It will pay the least accepted or more, or nothing.';
}

/** More is to the right; left of the bound the transaction refuses. */
function drawing(quoted, least, paid) {
    const values = [quoted, least, ...(paid === null ? [] : [paid])];
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const x = (value) => Math.round(MARGIN + ((value - low) / (high - low || 1)) * (WIDTH - 2 * MARGIN));
    const bound = x(least);
    return svg('svg', {class: 'scale', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, 'aria-hidden': 'true'},
        svg('path', {class: 'scale-refused', d: `M0 ${MIDDLE}H${bound}`}),
        svg('path', {class: 'scale-accepted', d: `M${bound} ${MIDDLE}H${WIDTH}`}),
        paid !== null && svg('path', {class: 'scale-distance', d: `M${x(quoted)} ${MIDDLE}H${x(paid)}`}),
        ...['least', 'quoted'].map((kind, index) => shape(kind, x([least, quoted][index]), MIDDLE)),
        paid !== null && shape('paid', x(paid), MIDDLE));
}

function shape(kind, x, y) {
    const d = {
        least: `M${x + 5} ${y - 14}H${x}V${y + 14}H${x + 5}`,
        quoted: `M${x} ${y - 8}l8 8l-8 8l-8-8Z`,
        paid: `M${x - 7} ${y}a7 7 0 1 1 14 0a7 7 0 1 1 -14 0`,
    }[kind];
    return svg('path', {class: `scale-${kind}`, d});
}

function sample(kind) {
    return svg('svg', {class: 'sample', viewBox: '0 0 32 32', 'aria-hidden': 'true'}, shape(kind, 16, 16));
}
