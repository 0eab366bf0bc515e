// Work that is done once per frame, however often it is asked for; now and then in a hidden page, which has no frames.

const LONGEST_PAUSE = 500; // milliseconds
const SHORTEST_PAUSE = 100;

/**
 * @param {() => void} work
 * @returns {() => void} asks for it
 */
export function perFrame(work) {
    let frame = 0;
    let timer = 0;
    const run = () => {
        cancelAnimationFrame(frame);
        clearTimeout(timer);
        frame = 0;
        work();
    };
    return () => {
        if (!frame) {
            frame = requestAnimationFrame(run);
            timer = setTimeout(run, LONGEST_PAUSE);
        }
    };
}

/**
 * Calls again and again, never twice at once; not in a hidden page.
 *
 * @param {(signal: AbortSignal) => Promise<void>} work its errors are its own affair
 * @param {number} period milliseconds from one beginning to the next
 * @returns {{now: () => void, stop: () => void}} `now` gives up the call under way for a new one
 */
export function repeatedly(work, period) {
    let timer = 0;
    let under = new AbortController();
    let isStopped = false;

    async function round() {
        clearTimeout(timer);
        under.abort();
        const own = under = new AbortController();
        const next = performance.now() + period;
        if (!document.hidden) {
            await work(own.signal);
        }
        if (!isStopped && own === under) {
            timer = setTimeout(round, Math.max(SHORTEST_PAUSE, next - performance.now()));
        }
    }

    const onVisible = () => !document.hidden && round();
    document.addEventListener('visibilitychange', onVisible);
    round();
    return {
        now: round,
        stop() {
            isStopped = true;
            clearTimeout(timer);
            under.abort();
            document.removeEventListener('visibilitychange', onVisible);
        },
    };
}
