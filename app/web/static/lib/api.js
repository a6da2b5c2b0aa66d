// Requests to the public API. Every error becomes an ApiError with its field and its code.
import { Store } from './store.js';

export const prefix = document.documentElement.dataset.prefix;

// Whether the service answers. Views show a note while it doesn't.
export const connection = new Store({ lost: false });

const KEY = 'atelier-key';
let onUnauthenticated = () => {};

export class ApiError extends Error {
  constructor(status, detail, retryAfter = 0) {
    super(detail.message);
    this.status = status;
    this.code = detail.code;
    this.param = detail.param;
    this.retryAfter = retryAfter;
  }
}

export function key() {
  return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? '';
}

export function keepKey(value, lasting) {
  forgetKey();
  (lasting ? localStorage : sessionStorage).setItem(KEY, value);
}

export function forgetKey() {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}

export function whenUnauthenticated(handler) {
  onUnauthenticated = handler;
}

export async function send(method, path, { json, body, headers = {}, signal } = {}) {
  const all = { ...headers };
  if (key()) all.Authorization = `Bearer ${key()}`;
  if (json !== undefined) all['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(prefix + path, {
      method, headers: all, signal, body: json === undefined ? body : JSON.stringify(json),
    });
  } catch (error) {
    if (error.name !== 'AbortError') connection.set({ lost: true });
    throw error;
  }
  connection.set({ lost: response.status === 502 || response.status === 504 });
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response) {
  let detail = { message: `${response.status} ${response.statusText}`, code: 'unknown' };
  try {
    detail = (await response.json()).error ?? detail;
  } catch {
    // A proxy's own page: its status is all that is known.
  }
  if (response.status === 401) onUnauthenticated();
  return new ApiError(response.status, detail, Number(response.headers.get('Retry-After')));
}

export async function get(path, options) {
  return (await send('GET', path, options)).json();
}

export async function post(path, json, options) {
  return (await send('POST', path, { json, ...options })).json();
}

export async function remove(path) {
  return (await send('DELETE', path)).json();
}

export async function upload(file) {
  const type = file.type || (/\.midi?$/i.test(file.name ?? '') ? 'audio/midi' : '');
  const headers = { 'Content-Type': type || 'application/octet-stream' };
  return (await send('POST', '/artifacts', { body: file, headers })).json();
}

export const artifact = (sha256) => `${prefix}/artifacts/${sha256}`;
export const thumbnail = (sha256, width = 256) => `${artifact(sha256)}?width=${width}`;
export const query = (values) => {
  const kept = Object.entries(values).filter(([, v]) => v !== undefined && v !== null && v !== '');
  return kept.length ? `?${new URLSearchParams(kept)}` : '';
};
