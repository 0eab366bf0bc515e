// Paths lead to views without leaving the page; the browser's own buttons and links work as everywhere.

import {byId} from './dom.js';

/** @typedef {() => void} Close leaves the view */

let routes = [];
let close = () => {};
let path = '';
const scrolled = new Map(); // where each path was left

/** @param {[RegExp, (...parts: string[]) => Close][]} table the first that matches is the view */
export function route(table) {
    routes = table;
    history.scrollRestoration = 'manual';
    addEventListener('popstate', () => show(scrolled.get(location.pathname) ?? 0));
    document.addEventListener('click', (event) => {
        const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
        if (link && isPlain(event) && isOurs(link)) {
            event.preventDefault();
            go(link.getAttribute('href'));
        }
    });
    show(0);
}

export function go(to) {
    if (to !== location.pathname) {
        history.pushState(null, '', to);
    }
    show(0);
    byId('main').focus({preventScroll: true});
}

function show(top) {
    scrolled.set(path, scrollY);
    close();
    path = location.pathname;
    for (const [pattern, open] of routes) {
        const found = pattern.exec(path);
        if (found) {
            close = open(...found.slice(1));
            break;
        }
    }
    scrollTo(0, top);
}

function isPlain(event) {
    return event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
}

function isOurs(link) {
    return link.origin === location.origin && !link.target && (link.pathname === '/' || link.pathname.startsWith('/orders/'));
}
