// Places an order so that it is placed exactly once, and watches it to its end, whatever the network does.
//
//   node examples/node_client.mjs [AMOUNT]                                  the engine at http://localhost:3000
//   BASE_URL=https://engine.example node examples/node_client.mjs 0.5       another engine
//
// Needs nothing but Node 22 or newer. Node 20 has the WebSocket behind a flag:
//   node --experimental-websocket examples/node_client.mjs
//
// Exit code: 0 confirmed, 1 failed, 2 the engine did not do as asked.

const BASE_URL = (process.env.BASE_URL ?? 'http://localhost:3000').replace(/\/+$/, '');
const WS_URL = BASE_URL.replace(/^http/, 'ws');
const WORTH_ANOTHER_TRY = new Set([408, 429, 500, 502, 503, 504]);
const ATTEMPTS = 5;
const PATIENCE = 120_000; // milliseconds for the order to end
const FATAL = new Set([4400, 4404]); // close codes: malformed, no such order

class Refused extends Error {}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The id of the order; the key makes it safe to ask again when nobody knows whether the first request arrived. */
async function place(order) {
    const headers = {'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID()};
    const body = JSON.stringify(order);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        let pause = 200 * 2 ** attempt;
        const answer = await fetch(`${BASE_URL}/api/orders/execute`, {
            method: 'POST', headers, body, signal: AbortSignal.timeout(10_000),
        }).catch((error) => {
            console.log(`attempt ${attempt}: ${error.cause ?? error}`);
        });
        if (answer?.ok) {
            const {orderId, idempotent} = await answer.json();
            console.log(`order ${orderId}${idempotent ? ' (a repeat)' : ''}`);
            return orderId;
        }
        if (answer) {
            const problem = await answer.text();
            console.log(`attempt ${attempt}: ${problem}`);
            if (!WORTH_ANOTHER_TRY.has(answer.status)) {
                throw new Refused(problem);
            }
            pause = Number(answer.headers.get('Retry-After') ?? pause / 1000) * 1000;
        }
        await sleep(pause);
    }
    throw new Refused(`no answer in ${ATTEMPTS} attempts`);
}

/** Hands over every event after this one until the connection ends; its close code. */
function connect(orderId, after, onEvent) {
    return new Promise((resolve) => {
        const socket = new WebSocket(`${WS_URL}/api/orders/execute?orderId=${orderId}&after=${after}`);
        socket.onmessage = ({data}) => {
            const event = JSON.parse(data);
            if (event.type !== 'error') {
                onEvent(event);
            }
        };
        socket.onerror = () => {}; // it is closed then, too
        socket.onclose = ({code, reason}) => resolve({code, reason});
    });
}

/** The final status of the order; every event is printed once and in order, over as many connections as that takes. */
async function watch(orderId) {
    let last = {sequence: 0, status: 'unknown'};
    while (last.status !== 'confirmed' && last.status !== 'failed') {
        const {code, reason} = await connect(orderId, last.sequence, (event) => {
            last = event;
            console.log(event.sequence, event.status, JSON.stringify(event));
        });
        if (FATAL.has(code)) {
            throw new Refused(reason);
        }
        if (code !== 1000) {
            console.log(`disconnected after event ${last.sequence}: ${code}`);
            await sleep(500);
        }
    }
    return last.status;
}

if (typeof WebSocket === 'undefined') {
    console.error('This Node has no WebSocket yet: node --experimental-websocket examples/node_client.mjs');
    process.exit(2);
}
setTimeout(() => {
    console.error('not done: the order takes too long');
    process.exit(2);
}, PATIENCE).unref();

const amount = process.argv[2] ?? '1.25';
try {
    const orderId = await place({type: 'market', tokenIn: 'SOL', tokenOut: 'USDC', amount, slippageBps: 300});
    process.exitCode = (await watch(orderId)) === 'confirmed' ? 0 : 1;
} catch (error) {
    console.error(`not done: ${error.message}`);
    process.exitCode = 2;
}
