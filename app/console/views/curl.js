// The same order, and the look at it, as commands for a shell.

import {copy, el} from '../lib/dom.js';

/** @returns {HTMLElement} */
export function curlCard(order) {
    return el('section', {class: 'card order-curl'},
        el('h2', {}, 'As curl'),
        ...[['Read this order', reading(order)], ['Place another one like it', placing(order)]].map(([title, command]) => {
            const button = el('button', {type: 'button', class: 'quiet', 'aria-label': `Copy: ${title}`, onclick: () => copy(command, button)}, 'Copy');
            return el('div', {class: 'command'},
                el('h3', {}, title), button, el('pre', {tabindex: '0', 'aria-label': title}, el('code', {}, command)));
        }));
}

function reading({orderId}) {
    return `curl -s ${location.origin}/api/orders/${orderId}`;
}

function placing({type, tokenIn, tokenOut, amountText, slippageBps, wallet}) {
    // The amount is spliced in as the ledger gave it, with every digit.
    const members = [
        ['type', JSON.stringify(type)], ['tokenIn', JSON.stringify(tokenIn)], ['tokenOut', JSON.stringify(tokenOut)],
        ['amount', amountText], ['slippageBps', slippageBps], ...(wallet ? [['wallet', JSON.stringify(wallet)]] : []),
    ];
    const body = `{${members.map(([name, value]) => `"${name}": ${value}`).join(', ')}}`;
    return `curl -s ${location.origin}/api/orders/execute \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(body)}`;
}

function quoted(text) {
    return `'${text.replaceAll("'", "'\\''")}'`;
}
