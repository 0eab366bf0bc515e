// What the engine does now, in six figures of the last minute.

import * as api from '../lib/api.js';
import {byId, el, mark, svg, write} from '../lib/dom.js';
import {count, duration, percent, setClock, venueName} from '../lib/format.js';
import {repeatedly} from '../lib/frames.js';

const REFRESH = 1000; // milliseconds
const HEIGHT = 32;
const BAR = 4; // of which one is the gap

const VENUES = {up: 'quoting', down: 'no quotes', idle: 'not asked'};

/** @returns {{stop: () => void}} */
export function startPulse() {
    return repeatedly(async (signal) => {
        try {
            show(await api.stats(signal));
            mark(byId('home'), 'data-stale', false);
        } catch {
            mark(byId('home'), 'data-stale', !signal.aborted);
        }
    }, REFRESH);
}

function show(stats) {
    const {latency, queue} = stats;
    setClock(stats.ts);
    write(byId('pulse-rate'), stats.ordersPerSecond < 10 ? stats.ordersPerSecond.toFixed(1) : count(Math.round(stats.ordersPerSecond)));
    write(byId('pulse-success'), percent(stats.successRate));
    write(byId('pulse-success-note'), `${count(stats.confirmed)} filled, ${count(stats.failed)} failed`);
    write(byId('pulse-p50'), latency.p50Ms === null ? '–' : duration(latency.p50Ms));
    write(byId('pulse-p99'), latency.p99Ms === null ? 'none confirmed' : `p50; p99 ${duration(latency.p99Ms)}`);
    write(byId('pulse-flight'), count(stats.inFlight));
    write(byId('pulse-queue'), count(queue.pending));
    write(byId('pulse-oldest'), queue.oldestSeconds === null ? 'nothing waits' : `oldest ${duration(queue.oldestSeconds * 1000)}`);
    byId('pulse-plot').replaceChildren(plot(stats.perSecond));
    byId('pulse-venues').replaceChildren(...stats.venues.map(venue));
}

function venue({dex, status, quotes, unavailable}) {
    const shape = {up: 'M2 6.5l3 3 5-6', down: 'M2.5 2.5l7 7m0-7l-7 7', idle: 'M2 6h8'}[status];
    return el('span', {class: 'venue', data: {status}, title: `${count(quotes)} quotes, ${count(unavailable)} refused in the last minute`},
        svg('svg', {viewBox: '0 0 12 12', 'aria-hidden': 'true'}, svg('path', {d: shape})),
        el('span', {class: 'venue-name'}, venueName(dex)), el('span', {class: 'venue-state'}, VENUES[status]));
}

/** A bar for each second, of the orders accepted, and before it one of those that failed. */
function plot(seconds) {
    const most = Math.max(1, ...seconds.map(({accepted}) => accepted));
    const width = seconds.length * BAR;
    const bars = (name, height) => svg('path', {class: `bar-${name}`, d: seconds.map((second, index) => {
        const size = height(second);
        return size ? `M${index * BAR} ${HEIGHT - size}h${BAR - 1}v${size}h${1 - BAR}Z` : '';
    }).join('')});
    const scaled = (value) => value && Math.max(2, Math.round((value / most) * (HEIGHT - 2)));
    const total = seconds.reduce((sum, {accepted}) => sum + accepted, 0);
    return svg('svg', {class: 'bars', viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${total} orders accepted in ${seconds.length} seconds, at most ${most} in one`},
        svg('path', {class: 'bar-base', d: `M0 ${HEIGHT - 0.5}h${width}`}),
        bars('accepted', ({accepted}) => scaled(accepted)),
        bars('failed', ({failed}) => Math.min(scaled(failed), HEIGHT)));
}
