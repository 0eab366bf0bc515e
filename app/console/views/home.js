// The first page: pulse, trade, markets and the list of orders. It is made once, and hidden while an order is looked at.

import * as api from '../lib/api.js';
import {showAddress} from './filters.js';
import {startMarkets} from './markets.js';
import {OrderList} from './list.js';
import {startPulse} from './pulse.js';
import {Trade} from './trade.js';

let parts = null;
let loops = [];

/** @returns {() => void} leaves it */
export function openHome(root, ledger) {
    document.title = 'Order engine';
    root.hidden = false;
    parts ??= make(ledger);
    parts.list.wake();
    showAddress(ledger.filter);
    loops = [startPulse(), startMarkets(parts.trade)];
    parts.trade.wake();
    return () => {
        root.hidden = true;
        parts.trade.rest();
        loops.forEach((loop) => loop.stop());
    };
}

function make(ledger) {
    const trade = new Trade(ledger);
    const list = new OrderList(ledger); // which narrows the ledger as the address says
    loadTokens(trade);
    ledger.load();
    return {trade, list};
}

async function loadTokens(trade) {
    try {
        trade.offer((await api.tokens()).tokens);
        loops.forEach((loop) => loop.now());
    } catch {
        setTimeout(() => loadTokens(trade), 1000);
    }
}
