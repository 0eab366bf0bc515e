// The REST calls of the public API that the console makes.

const ATTEMPTS = 4;
const WORTH_ANOTHER_TRY = new Set([408, 500, 502, 503, 504]);

/** What the engine refused, as its problem document says. */
export class Refused extends Error {
    /** @param {{status: number, code?: string, detail?: string, title?: string, errors?: any[]}} problem */
    constructor(problem, retryAfter = 0) {
        super(problem.detail ?? problem.title ?? `the engine answered ${problem.status}`);
        this.code = problem.code ?? '';
        this.status = problem.status;
        this.errors = problem.errors ?? [];
        this.retryAfter = retryAfter; // seconds
    }
}

async function answerOf(path, options = {}) {
    const answer = await fetch(path, {...options, headers: {Accept: 'application/json', ...options.headers}});
    if (answer.ok) {
        return answer;
    }
    const problem = await answer.json().catch(() => ({}));
    throw new Refused({...problem, status: answer.status}, Number(answer.headers.get('Retry-After') ?? 0));
}

async function read(path, signal) {
    return (await answerOf(path, {signal})).json();
}

function query(parameters) {
    const given = Object.entries(parameters).filter(([, value]) => value !== '' && value !== null && value !== undefined);
    return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}

export const tokens = () => read('/api/tokens');
export const stats = (signal) => read('/api/stats', signal);
export const quotes = (swap, signal) => read(`/api/quotes?${query(swap)}`, signal);
export const orders = (filter, signal) => read(`/api/orders?${query(filter)}`, signal);
export const prices = (tokenIn, tokenOut, signal) =>
    read(`/api/pairs/${encodeURIComponent(tokenIn)}/${encodeURIComponent(tokenOut)}/prices?points=120&seconds=600`, signal);

/** The order with its events, and with `amountText`, the digits of its amount, of which a number may not hold all. */
export async function order(id, signal) {
    const text = await (await answerOf(`/api/orders/${encodeURIComponent(id)}`, {signal})).text();
    return {...JSON.parse(text), amountText: /"amount":\s*([^,}]*)/.exec(text)?.[1]};
}

/** The order's events digit for digit, as text. */
export async function rawEvents(id, signal) {
    return (await answerOf(`/api/orders/${encodeURIComponent(id)}/events`, {signal})).text();
}

export function execute(id) {
    return answerOf(`/api/orders/${encodeURIComponent(id)}/execute`, {method: 'POST'});
}

/** The id of the order. Asks again when nobody knows whether the first request arrived: the key keeps it one order. */
export async function place(request) {
    const headers = {'Content-Type': 'application/json', 'Idempotency-Key': uniqueKey()};
    for (let attempt = 1; ; attempt++) {
        try {
            const answer = await answerOf('/api/orders/execute', {
                method: 'POST', headers, body: JSON.stringify(request), signal: AbortSignal.timeout(10_000),
            });
            return (await answer.json()).orderId;
        } catch (error) {
            const isFinal = error instanceof Refused && !WORTH_ANOTHER_TRY.has(error.status);
            if (isFinal || attempt === ATTEMPTS) {
                throw error;
            }
            await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
        }
    }
}

/** `crypto.randomUUID` is there on secure origins only. */
function uniqueKey() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
