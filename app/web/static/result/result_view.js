// One result: the file in large, what it was made by, and what can be made of it.
import { html, useEffect, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { artifact, get, remove, thumbnail } from '../lib/api.js';
import { bytes, duration, figure, moment, summary } from '../lib/format.js';
import { artifactOf, models } from '../lib/models.js';
import { favourites, mark } from '../lib/preferences.js';
import { go, Link, route } from '../lib/router.js';
import { use } from '../lib/store.js';
import { Icon } from '../components/icons.js';
import { notify } from '../components/notices.js';
import { save } from '../components/save.js';
import { Tile } from '../components/tile.js';
import { Star } from '../gallery/gallery_view.js';
import { JobCard } from '../jobs/job_card.js';
import { isActive, live, track, untrack } from '../jobs/job_store.js';
import { mainOutputs } from '../jobs/outputs.js';
import { actionsFor, requestOf } from './actions.js';
import { CompareButton } from './compare_button.js';
import { Repeat } from './repeat.js';
import { Code } from './code.js';
import { Viewer } from './viewer.js';

export function ResultView() {
  const [id, index = '0'] = use(route).rest;
  const entry = use(live).jobs[id];
  const [job, setJob] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    setJob(null);
    setError(null);
    get(`/jobs/${encodeURIComponent(id)}`).then((x) => { setJob(x); if (isActive(x)) track(x); }).catch(setError);
  }, [id]);
  const known = entry?.job ?? job;
  if (error && !known) return html`<div class="pad"><p class="error-text" role="alert">${error.message}</p><${Link} to="gallery">${t('result.back')}</${Link}></div>`;
  if (!known || !job) return html`<p class="faint pad">${t('loading')}</p>`;
  const current = entry && !isActive(entry.job) && entry.job.omitted.length === 0 ? entry.job : isActive(known) ? known : job;
  const outputs = mainOutputs(current);
  const output = outputs.find((x) => x.index === Number(index)) ?? outputs[0];
  return html`<div class="pad result">
    <p><${Link} to="gallery">← ${t('result.back')}</${Link}></p>
    <h1>${summary(current)}</h1>
    ${output ? html`<${Finished} job=${current} output=${output} outputs=${outputs} />`
    : html`${current.status === 'expired' && html`<p class="warning">${t('result.expired')}</p>`}
      <${JobCard} entry=${entry ?? { job: current, previews: {}, texts: {}, seconds: {} }} /><${Details} job=${current} />`}
  </div>`;
}

function Finished({ job, output, outputs }) {
  const { list } = use(models);
  const starred = use(favourites);
  const name = mark(job.id, output.index);
  const erase = async () => {
    if (!window.confirm(t('gallery.confirm', { n: 1 }))) return;
    await remove(`/jobs/${job.id}`);
    untrack(job.id);
    go('gallery');
  };
  const file = `${job.model}-${job.id.slice(-6).toLowerCase()}-${output.index}.${suffix(output)}`;
  return html`<div class="result-columns">
    <div>
      <${Viewer} job=${job} output=${output} name=${summary(job)} />
      ${outputs.length > 1 && html`<h2>${t('result.others')}</h2><div class="strip">${outputs.map((x) => html`<div class=${x === output ? 'current' : ''} key=${x.index}><${Tile} job=${job} output=${x} /></div>`)}</div>`}
    </div>
    <div class="side">
      <div class="actions wrap">
        <${Repeat} job=${job} />
        ${actionsFor(job, output, list).map(({ label, model, fragment }) => html`<${Link} to="make" fragment=${fragment} class="button" title=${model} key=${label}>${label}</${Link}>`)}
        <${CompareButton} job=${job} output=${output} />
      </div>
      <div class="actions wrap">
        <button type="button" onClick=${() => save(artifact(output.sha256), file)}><${Icon} name="download" />${t('result.download')}</button>
        <${Star} name=${name} on=${starred.includes(name)} />
        <button type="button" class="danger" onClick=${() => erase().catch(notify)}><${Icon} name="trash" />${t('result.delete')}</button>
      </div>
      <${Details} job=${job} output=${output} />
      <${Code} job=${job} model=${list.find((x) => x.id === job.model)} />
    </div>
  </div>`;
}

const suffix = (output) => ({ 'image/jpeg': 'jpg', 'audio/midi': 'mid', 'audio/mpeg': 'mp3', 'text/plain': 'txt', 'text/markdown': 'md' })[
  output.content_type.split(';')[0]] ?? output.content_type.split(';')[0].split('/').pop().replace('x-', '');

// A file that the request named is shown as what it is.
function Value({ value, property }) {
  if (property && artifactOf(property)) return html`<a href=${artifact(value)}><img class="input-file" src=${thumbnail(value, 64)} alt=${value.slice(0, 12)} /></a>`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function Details({ job, output }) {
  const { list } = use(models);
  const model = list.find((x) => x.id === job.model);
  const { model: ignored, seed, ...asked } = requestOf(job, model);
  return html`<section class="details">
    <h2>${t('result.request')}</h2>
    <dl>${Object.entries(asked).map(([name, value]) => html`<dt><code>${name}</code></dt><dd><${Value} value=${value} property=${model?.params.properties[name]} /></dd>`)}
      <dt>${t('result.seed')}</dt><dd>${output?.seed ?? seed}</dd></dl>
    <h2>${t('result.madeBy')}</h2>
    <dl>
      <dt>${t('result.model')}</dt><dd>${model?.title ?? ''} <code>${job.model}</code></dd>
      ${job.checkpoint && html`<dt>${t('result.checkpoint')}</dt><dd><code class="hash">${job.checkpoint}</code></dd>`}
      ${job.version && html`<dt>${t('result.version')}</dt><dd>${job.version}</dd>`}
      ${job.determinism && html`<dt>${t('result.determinism')}</dt><dd>${t(job.determinism === 'bitwise' ? 'result.bitwise' : 'result.anyBits')}</dd>`}
      <dt>${t('result.created')}</dt><dd>${moment(job.created_at)}</dd>
      ${job.expires_at && html`<dt>${t('result.expires')}</dt><dd>${moment(job.expires_at)}</dd>`}
    </dl>
    <h2>${t('result.cost')}</h2>
    <dl>
      ${job.usage.queue_ms !== null && html`<dt>${t('result.waited')}</dt><dd>${duration(job.usage.queue_ms / 1000)}</dd>`}
      ${job.usage.compute_ms !== null && html`<dt>${t('result.compute')}</dt><dd>${duration(job.usage.compute_ms / 1000)}</dd>`}
      ${output?.completion_tokens && html`<dt>tokens</dt><dd>${figure(output.completion_tokens)}</dd>`}
    </dl>
    ${output && html`<h2>${t('result.file')}</h2><dl>
      <dt>${t('result.size')}</dt><dd>${[output.width && `${output.width}×${output.height}`, output.seconds && duration(output.seconds), bytes(output.bytes)].filter(Boolean).join(' · ')}</dd>
      <dt>${t('result.hash')}</dt><dd><code class="hash">${output.sha256}</code></dd>
      ${output.notes.length > 0 && html`<dt>${t('result.notes')}</dt><dd>${output.notes.join(' ')}</dd>`}
    </dl>`}
  </section>`;
}
