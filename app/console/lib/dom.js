// Elements in one line each, and writes that happen only when something has changed.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties] `on…` are listeners, `data` is the dataset, null and false are left out
 * @param {...(Node|string|number|null|false|undefined)} children
 * @returns {any}
 */
export function el(tag, properties = {}, ...children) {
    return fill(document.createElement(tag), properties, children);
}

/** The same for SVG. @returns {any} */
export function svg(tag, properties = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, properties, children) {
    for (const [name, value] of Object.entries(properties)) {
        if (value === null || value === undefined || value === false) {
            continue;
        }
        if (name.startsWith('on')) {
            node.addEventListener(name.slice(2), value);
        } else if (name === 'data') {
            Object.assign(node.dataset, value);
        } else {
            node.setAttribute(name, value === true ? '' : value);
        }
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
}

/** Sets the text unless that is what it says already. */
export function write(node, text) {
    if (node.textContent !== text) {
        node.textContent = text;
    }
}

/** Sets the attribute, or removes it for null and false, unless it is so already. */
export function mark(node, name, value) {
    const text = value === true ? '' : value;
    if (text === null || text === undefined || text === false) {
        node.removeAttribute(name);
    } else if (node.getAttribute(name) !== String(text)) {
        node.setAttribute(name, String(text));
    }
}

/** @returns {any} the element with this id */
export function byId(id) {
    return document.getElementById(id);
}

/** Says something to those who listen to the page; the last word only. */
export function say(text) {
    write(byId('say'), text);
}

/** @param {HTMLElement} button whose label says for a moment that it was done */
export async function copy(text, button) {
    const label = button.textContent;
    try {
        await navigator.clipboard.writeText(text);
        write(button, 'Copied');
        say('Copied');
    } catch { // not from a secure origin, or not allowed
        write(button, 'Select it');
        say('Copying is not allowed here; select the text instead');
    }
    setTimeout(() => write(button, label), 1600);
}
