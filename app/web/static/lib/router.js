// Addresses of views. A form's fields are in the fragment, which browsers never send.
import { prefix } from './api.js';
import { h } from './preact.js';
import { Store } from './store.js';

function read() {
  const path = location.pathname.slice(prefix.length).replace(/^\/studio/, '').replace(/\/$/, '');
  const [view = '', ...rest] = path.split('/').filter(Boolean);
  return { view: view || 'make', rest, fragment: location.hash.slice(1) };
}

export const route = new Store(read());

export const href = (path = '', fragment = '') =>
  `${prefix}/studio${path && `/${path}`}${fragment && `#${fragment}`}`;

export function go(path, fragment = '', replace = false) {
  history[replace ? 'replaceState' : 'pushState'](null, '', href(path, fragment));
  route.set(read());
  if (!replace) window.scrollTo(0, 0);
}

// Keeps the address as the form is, without a new entry or another look at it.
export function rewrite(path, fragment) {
  history.replaceState(null, '', href(path, fragment));
}

export function Link({ to, fragment, children, ...rest }) {
  const onClick = (event) => {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to, fragment);
  };
  return h('a', { href: href(to, fragment), onClick, ...rest }, children);
}

window.addEventListener('popstate', () => route.set(read()));
window.addEventListener('hashchange', () => route.set(read()));
