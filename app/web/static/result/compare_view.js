// Two results, one over the other; a slider says where the first ends.
import { html, useEffect, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { artifact, get } from '../lib/api.js';
import { summary } from '../lib/format.js';
import { Link, route } from '../lib/router.js';
import { use } from '../lib/store.js';
import { mainOutputs } from '../jobs/outputs.js';

export function CompareView() {
  const [oneId, oneIndex, otherId, otherIndex] = use(route).rest;
  const [pair, setPair] = useState(null);
  const [error, setError] = useState(null);
  const [at, setAt] = useState(50);
  useEffect(() => {
    setPair(null);
    Promise.all([read(oneId, oneIndex), read(otherId, otherIndex)]).then(setPair).catch(setError);
  }, [oneId, oneIndex, otherId, otherIndex]);
  if (error) return html`<p class="error-text pad" role="alert">${error.message}</p>`;
  if (!pair) return html`<p class="faint pad">${t('loading')}</p>`;
  const [one, other] = pair;
  const same = one.output.sha256 === other.output.sha256;
  return html`<div class="pad compare-view">
    <h1>${t('compare.title')}</h1>
    <p role="status" class=${`verdict ${same ? 'same' : 'different'}`}>${t(same ? 'compare.same' : 'compare.different')}</p>
    <div class="compare">
      <img src=${artifact(other.output.sha256)} alt=${summary(other.job)} class="pixelated" />
      <img src=${artifact(one.output.sha256)} alt=${summary(one.job)} class="pixelated over" style=${{ clipPath: `inset(0 ${100 - at}% 0 0)` }} />
      <div class="divider" style=${{ left: `${at}%` }}></div>
      <input type="range" min="0" max="100" value=${at} aria-label=${t('compare.slider')} onInput=${(e) => setAt(Number(e.target.value))} />
    </div>
    <div class="row between">${pair.map(({ job, output }) => html`<${Link} to=${`results/${job.id}/${output.index}`} key=${`${job.id}/${output.index}`}>
      ${summary(job)} · <code>${job.model}</code> · ${output.seed}</${Link}>`)}</div>
  </div>`;
}

async function read(id, index) {
  const job = await get(`/jobs/${encodeURIComponent(id)}`);
  const output = mainOutputs(job).find((x) => x.index === Number(index));
  if (!output) throw new Error(t('result.expired'));
  return { job, output };
}
