// Workers, queues and throughput, as GET /status says.
import { html, useEffect, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { get } from '../lib/api.js';
import { bytes } from '../lib/format.js';
import { notify } from '../components/notices.js';
import { Bars } from './bars.js';

const LOOK = 2000; // milliseconds between two looks

export function StatusView() {
  const [status, setStatus] = useState(null);
  useEffect(() => {
    let timer;
    let over = false;
    const look = async () => {
      if (!document.hidden) await get('/status').then(setStatus).catch((error) => error.status && notify(error));
      if (!over) timer = setTimeout(look, LOOK);
    };
    look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, []);
  if (!status) return html`<p class="faint pad">${t('loading')}</p>`;
  return html`<div class="pad status">
    <h1>${t('status.title')}</h1>
    <p class="faint">${t('status.version')} ${status.version}</p>
    <section class="panel"><h2>${t('status.workers')}</h2><${Workers} workers=${status.workers} /></section>
    ${status.waiting === null && html`<p class="warning">${t('status.scope')}</p>`}
    ${status.waiting && html`<section class="panel"><h2>${t('status.queue')}</h2><${Waiting} waiting=${status.waiting} inFlight=${status.in_flight} /></section>`}
    ${status.finished && html`<section class="panel"><h2>${t('status.throughput')}</h2><${Throughput} finished=${status.finished} /></section>`}
  </div>`;
}

function Workers({ workers }) {
  if (!workers.length) return html`<p class="warning">${t('status.noWorkers')}</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t('status.workers')}><table>
    <thead><tr><th scope="col">${t('status.worker')}</th><th scope="col">${t('status.device')}</th><th scope="col">${t('status.inFlight')}</th>
      <th scope="col">${t('status.models')}</th><th scope="col">${t('models.memory')}</th></tr></thead>
    <tbody>${workers.map((x) => html`<tr key=${x.name}><td><code>${x.name}</code></td><td>${x.device ?? ''}</td>
      <td>${x.in_flight}${x.capacity ? ` / ${x.capacity}` : ''}</td><td>${x.models.join(', ') || t('status.none')}</td>
      <td>${x.memory_bytes ? bytes(x.memory_bytes) : ''}</td></tr>`)}</tbody></table></div>`;
}

function Waiting({ waiting, inFlight }) {
  const queues = Object.entries(waiting).filter(([, n]) => n > 0);
  return html`<p>${t('status.inFlight')}: <strong>${inFlight}</strong></p>
    ${!queues.length && html`<p class="faint">${t('status.noneWaiting')}</p>`}
    <dl>${queues.map(([model, n]) => html`<dt><code>${model}</code></dt><dd>${n} ${t('status.waiting')}</dd>`)}</dl>`;
}

function Throughput({ finished }) {
  const done = finished.reduce((sum, x) => sum + x.completed, 0);
  const failed = finished.reduce((sum, x) => sum + x.failed, 0);
  return html`<p>${t('status.total', { done, failed })}</p><${Bars} minutes=${finished} label=${t('status.perMinute')} />`;
}
