// A form as a fragment of an address, and back: `model=t2i-emoji&prompt=a red apple&steps=20`.
import { rewrite } from '../lib/router.js';

export function encode(model, body) {
  const values = Object.entries(body).map(([name, value]) =>
    [name, typeof value === 'string' && !readsAsJson(value) ? value : JSON.stringify(value)]);
  return new URLSearchParams([['model', model], ...values]).toString();
}

export function decode(fragment) {
  const { model, ...texts } = Object.fromEntries(new URLSearchParams(fragment));
  const body = Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, value(text)]));
  return { model, body };
}

const readsAsJson = (text) => typeof value(text) !== 'string' || /^".*"$/s.test(text);

function value(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

let timer;

// Browsers allow a hundred such changes in ten seconds; typing is faster.
export function keepInAddress(model, body) {
  clearTimeout(timer);
  timer = setTimeout(() => rewrite('make', encode(model, body)), 300);
}

export function flushAddress() {
  clearTimeout(timer);
}
