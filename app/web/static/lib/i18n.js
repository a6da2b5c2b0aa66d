// Texts of the page in English and Chinese. The browser's language decides, unless one is chosen.
import en from '../locales/en.js';
import zh from '../locales/zh.js';
import { language } from './preferences.js';

const LOCALES = { en, zh };

export function locale() {
  const preferred = [language.value, ...navigator.languages].filter(Boolean);
  return preferred.map((x) => x.slice(0, 2)).find((x) => x in LOCALES) ?? 'en';
}

export function t(name, values = {}) {
  const text = LOCALES[locale()][name] ?? en[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (all, key) => values[key] ?? all);
}

// A text that the page may know better than the API, such as the label of a param.
export function known(name, fallback) {
  return LOCALES[locale()][name] ?? fallback;
}
