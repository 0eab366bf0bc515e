// Numbers and times as people read them. The locale is the page's own language, so that all who share a link see the same.

const LOCALE = 'en-US';
const MINUS = '\u2212';
const SPACE = '\u00a0'; // between a number and its unit, which stay on one line
const NONE = '\u2013';

const plain = new Intl.NumberFormat(LOCALE, {maximumFractionDigits: 9});
const digits = [4, 6].map((count) => new Intl.NumberFormat(LOCALE, {minimumSignificantDigits: count, maximumSignificantDigits: count}));
const rounded = [2, 4].map((places) => new Intl.NumberFormat(LOCALE, {maximumFractionDigits: places}));
const thousands = new Intl.NumberFormat(LOCALE, {notation: 'compact', maximumFractionDigits: 2});
const few = new Intl.NumberFormat(LOCALE, {maximumSignificantDigits: 4});
const exact = new Intl.DateTimeFormat('en-GB', {
    year: 'numeric', month: 'short', day: 'numeric',
    hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, timeZoneName: 'short',
});
const clock = new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3,
});

let ahead = 0; // milliseconds that the engine's clock is ahead of this one

/** The engine's time as it told it just now; ages are counted by its clock, not by ours. */
export function setClock(iso) {
    ahead = Date.parse(iso) - Date.now();
}

export function now() {
    return Date.now() + ahead;
}

/** An amount in whole tokens, with all its digits. */
export function amount(value) {
    return value === null || value === undefined ? NONE : signed(plain.format(value));
}

/** The same where there is little room, and the last digits do not matter. */
export function brief(value) {
    if (value === null || value === undefined) {
        return NONE;
    }
    const format = value >= 100_000 ? thousands : value >= 10 ? rounded[0] : value >= 1 ? rounded[1] : few;
    return format.format(value);
}

/** A price: always as many digits, so that it does not jump. */
export function price(value) {
    return value === null || value === undefined ? NONE : digits[value < 0.001 ? 0 : 1].format(value);
}

/** @param {number} fraction 0.0025 is 0.25 % */
export function percent(fraction) {
    if (fraction === null || fraction === undefined) {
        return NONE;
    }
    const value = fraction * 100;
    return signed(`${value !== 0 && Math.abs(value) < 0.01 ? few.format(value) : plain.format(Number(value.toFixed(2)))}${SPACE}%`);
}

/** How much a price has moved, with a sign. */
export function change(fraction) {
    const value = (fraction * 100).toFixed(2);
    return signed(`${Number(value) > 0 ? '+' : ''}${Number(value) === 0 ? '0.00' : value}${SPACE}%`);
}

/** Hundredths of a percent between two amounts, with a sign. */
export function bps(value, of) {
    const distance = (value / of - 1) * 10_000;
    const text = Math.abs(distance) < 10 ? distance.toFixed(1) : distance.toFixed(0);
    return signed(`${distance > 0 ? '+' : ''}${text}${SPACE}bps`);
}

export function count(value) {
    return plain.format(value);
}

/** @param {number} milliseconds between two things */
export function duration(milliseconds) {
    const value = Math.max(0, milliseconds);
    if (value < 1000) {
        return `${Math.round(value)}${SPACE}ms`;
    }
    const seconds = value / 1000;
    if (seconds < 60) {
        return `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(1)}${SPACE}s`;
    }
    const minutes = Math.floor(seconds / 60);
    return minutes < 60
        ? `${minutes}${SPACE}min ${Math.round(seconds % 60)}${SPACE}s`
        : `${Math.floor(minutes / 60)}${SPACE}h ${minutes % 60}${SPACE}min`;
}

/** How long ago, in one unit. */
export function ago(iso) {
    const seconds = Math.floor((now() - Date.parse(iso)) / 1000);
    if (seconds < 2) {
        return 'now';
    }
    for (const [unit, size] of [['d', 86_400], ['h', 3600], ['min', 60]]) {
        if (seconds >= size) {
            return `${Math.floor(seconds / Number(size))}${SPACE}${unit}`;
        }
    }
    return `${seconds}${SPACE}s`;
}

export function venueName(dex) {
    return dex[0].toUpperCase() + dex.slice(1);
}

export function exactTime(iso) {
    return exact.format(new Date(iso));
}

export function clockTime(iso) {
    return clock.format(new Date(iso));
}

/** The end of an order's id: its beginning is the time, and the same for all of a minute. */
export function shortId(id) {
    return id.slice(-8);
}

export function shortSignature(signature) {
    return `${signature.slice(0, 8)}…${signature.slice(-8)}`;
}

/** JSON on lines of its own, digit for digit: it is never parsed. */
export function indented(json) {
    const parts = json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g) ?? [];
    let depth = 0;
    let text = '';
    parts.forEach((part, index) => {
        const isEmpty = '{['.includes(parts[index - 1]) && '}]'.includes(part);
        if ('}]'.includes(part)) {
            depth--;
            text += isEmpty ? '' : `\n${'  '.repeat(depth)}`;
        }
        text += part === ':' ? ': ' : part;
        if ('{['.includes(part)) {
            depth++;
        }
        if ('{[,'.includes(part) && !'}]'.includes(parts[index + 1])) {
            text += `\n${'  '.repeat(depth)}`;
        }
    });
    return text;
}

function signed(text) {
    return text.replace('-', MINUS);
}
