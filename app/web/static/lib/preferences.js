// What this browser keeps: the theme, the language and the favourites.
import { Store } from './store.js';

function stored(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? fallback;
  } catch {
    return fallback;
  }
}

function keptIn(name, fallback) {
  const store = new Store(stored(name, fallback));
  store.subscribe((value) => localStorage.setItem(name, JSON.stringify(value)));
  window.addEventListener('storage', (event) => {
    if (event.key === name) store.set(stored(name, fallback));
  });
  return store;
}

export const theme = keptIn('atelier-theme', 'system');
export const language = keptIn('atelier-language', '');
export const favourites = keptIn('atelier-favourites', []);

export function showTheme(value) {
  if (value === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
}

export const mark = (job, index) => `${job}/${index}`;

export function toggleFavourite(name) {
  const all = favourites.value;
  favourites.set(all.includes(name) ? all.filter((x) => x !== name) : [name, ...all]);
}
