// A value that components follow: `use(store)` draws them again when it changes.
import { useEffect, useState } from './preact.js';

export class Store {
  constructor(value) {
    this.value = value;
    this.listeners = new Set();
  }

  set(value) {
    if (value === this.value) return;
    this.value = value;
    for (const listener of [...this.listeners]) listener(value);
  }

  update(changes) {
    this.set({ ...this.value, ...changes });
  }

  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function use(store) {
  const [, draw] = useState(0);
  const { value } = store;
  useEffect(() => {
    const stop = store.subscribe(() => draw((n) => n + 1));
    if (store.value !== value) draw((n) => n + 1); // it changed since this was drawn
    return stop;
  }, [store]);
  return value;
}
