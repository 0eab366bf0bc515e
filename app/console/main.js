// Starts the page: one connection, one ledger, and a view for each path.

import {byId, mark, write} from './lib/dom.js';
import {Connection} from './lib/connection.js';
import {setClock} from './lib/format.js';
import {Ledger} from './lib/ledger.js';
import {route} from './lib/router.js';
import {openHome} from './views/home.js';
import {openOrder} from './views/order.js';

const LINE = {connecting: 'Connecting', live: 'Live', away: 'Reconnecting'};

const connection = new Connection(`${location.origin.replace(/^http/, 'ws')}/ws`);
const ledger = new Ledger(connection);

function showLine() {
    mark(byId('line'), 'data-state', connection.state);
    write(byId('line-text'), LINE[connection.state]);
}

connection.addEventListener('state', showLine);
connection.addEventListener('heartbeat', ({detail}) => setClock(detail.ts));
showLine();
route([
    [/^\/orders\/([^/]+)\/?$/, (id) => openOrder(byId('order'), decodeURIComponent(id), connection)],
    [/^/, () => openHome(byId('home'), ledger)],
]);
