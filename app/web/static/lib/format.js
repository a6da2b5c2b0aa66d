// Numbers, times and sizes as people read them.
import { locale, t } from './i18n.js';

export function bytes(count) {
  const units = ['B', 'KB', 'MB', 'GB'];
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds) {
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 90) return t('seconds', { n: seconds < 10 ? seconds.toFixed(1) : Math.round(seconds) });
  if (seconds < 5400) return t('minutes', { n: Math.round(seconds / 60) });
  return t('hours', { n: (seconds / 3600).toFixed(1) });
}

export function moment(unix) {
  return new Date(unix * 1000).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'short' });
}

export function figure(value) {
  if (typeof value !== 'number') return String(value);
  if (Number.isInteger(value)) return value.toLocaleString(locale());
  return value.toLocaleString(locale(), { maximumSignificantDigits: 4 });
}

export function clipped(text, most = 120) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

// The words of a request that say best what it asks for.
export function summary(job) {
  const { input } = job;
  const words = [input.prompt, input.theme, input.class_label, input.title, input.text, input.style]
    .find((x) => typeof x === 'string' && x);
  const said = input.messages?.findLast?.((x) => x.role === 'user')?.content;
  return clipped(words ?? said ?? job.model);
}
