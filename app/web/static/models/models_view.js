// What can be asked for: samples, measured quality, licences, and what workers hold.
import { html, useEffect, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { post } from '../lib/api.js';
import { bytes, figure } from '../lib/format.js';
import { models, modelsOf, readModels, typeName, types } from '../lib/models.js';
import { Link } from '../lib/router.js';
import { use } from '../lib/store.js';
import { Icon, typeIcon } from '../components/icons.js';
import { notify } from '../components/notices.js';
import { session } from '../session/session_store.js';

const LOOK = 3000; // milliseconds between two looks

export function ModelsView() {
  const { list, loaded } = use(models);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || readModels(), LOOK);
    return () => clearInterval(timer);
  }, []);
  if (!loaded) return html`<p class="faint pad">${t('loading')}</p>`;
  return html`<div class="pad"><h1>${t('models.title')}</h1>
    ${types(list).map((type) => html`<section key=${type} aria-label=${typeName(type)}><h2>${typeName(type)}</h2>
      <div class="model-cards">${modelsOf(list, type).map((model) => html`<${ModelCard} key=${model.id} model=${model} />`)}</div></section>`)}
  </div>`;
}

function ModelCard({ model }) {
  const { scopes } = use(session);
  const [busy, setBusy] = useState(false);
  const ask = async (what) => {
    setBusy(true);
    await post(`/models/${encodeURIComponent(model.id)}/${what}`).then(readModels).catch(notify);
    setBusy(false);
  };
  const held = model.state === 'ready' || model.state === 'loading';
  return html`<article class="card model" data-model=${model.id} aria-label=${model.title}>
    <${Sample} model=${model} />
    <div class="model-body">
      <header><h3>${model.title}</h3><span class="badge ${model.state}">${t(`state.${model.state}`)}${percent(model)}</span></header>
      <p class="faint"><code>${model.id}</code> · ${model.family}</p>
      <p>${model.description}</p>
      ${['loading', 'importing'].includes(model.state) && html`<progress max="1" value=${model.progress ?? undefined} aria-label=${t(`state.${model.state}`)}></progress>`}
      <dl>
        <dt>${t('models.file')}</dt><dd>${bytes(model.bytes)}</dd>
        ${model.memory_bytes && html`<dt>${t('models.memory')}</dt><dd>${bytes(model.memory_bytes)}</dd>`}
        <dt>${t('models.licence')}</dt><dd>${model.licence}</dd>
      </dl>
      ${model.limitations && html`<details><summary>${t('models.limits')}</summary><p>${model.limitations}</p></details>`}
      ${model.data && html`<details><summary>${t('models.data')}</summary><p>${model.data}</p><p class="faint">${model.data_licence}</p></details>`}
      <${Quality} quality=${model.quality} />
      <footer class="actions">
        <${Link} to="make" fragment=${`model=${encodeURIComponent(model.id)}`} class="button">${t('models.use')}</${Link}>
        ${scopes.includes('models') && model.state !== 'importing' && html`<button type="button" disabled=${busy || model.state === 'loading'}
          onClick=${() => ask(held ? 'unload' : 'load')}>${t(held ? 'models.unload' : 'models.load')}</button>`}
      </footer>
    </div>
  </article>`;
}

const percent = ({ state, progress }) =>
  (['importing', 'loading'].includes(state) && progress ? ` ${Math.round(100 * progress)} %` : '');

function Sample({ model }) {
  const { sample } = model;
  const name = t('models.sample', { name: model.title });
  if (sample?.content_type.startsWith('image/')) return html`<img class="sample" src=${sample.url} alt=${name} loading="lazy" />`;
  if (sample?.content_type.startsWith('audio/')) {
    return html`<div class="sample no-picture"><${Icon} name="sound" /><audio controls preload="none" src=${sample.url} aria-label=${name}></audio></div>`;
  }
  if (sample?.content_type.startsWith('text/')) return html`<${TextSample} url=${sample.url} />`;
  return html`<div class="sample no-picture"><${Icon} name=${typeIcon(model.modality)} /></div>`;
}

function TextSample({ url }) {
  const [text, setText] = useState('');
  useEffect(() => {
    fetch(url).then((x) => (x.ok ? x.text() : '')).then(setText).catch(() => {});
  }, [url]);
  return html`<blockquote class="sample">${text}</blockquote>`;
}

function Quality({ quality }) {
  const figures = Object.entries(quality ?? {}).flatMap(([name, value]) => rows(name, value));
  if (!figures.length) return null;
  return html`<details><summary>${t('models.quality')}</summary>
    <dl>${figures.map(([name, value]) => html`<dt>${name.replaceAll('_', ' ')}</dt><dd>${value}</dd>`)}</dl></details>`;
}

// [name, text] of a figure, of one with its interval, and of each within a list or an object.
function rows(name, value) {
  if (typeof value === 'number' || typeof value === 'string') return [[name, figure(value)]];
  if (Array.isArray(value)) return value.flatMap((x) => rows(name, x));
  if (value === null || typeof value !== 'object') return [];
  if (typeof value.mean === 'number') return [[name, figure(value.mean) + (value.ci95 ? ` ± ${figure(value.ci95)}` : '')]];
  return Object.entries(value).flatMap(([inner, x]) => rows(inner, x));
}
