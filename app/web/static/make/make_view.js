// The form of a model, built from its schema, beside the jobs as they run.
import { html, useEffect, useMemo, useRef, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { post, upload } from '../lib/api.js';
import { models, modelsOf, typeName, types } from '../lib/models.js';
import { href, route } from '../lib/router.js';
import { use } from '../lib/store.js';
import { Icon, typeIcon } from '../components/icons.js';
import { notify } from '../components/notices.js';
import { JobCard } from '../jobs/job_card.js';
import { live, track } from '../jobs/job_store.js';
import { accepts } from './artifact_input.js';
import { Field } from './field.js';
import { decode, encode, flushAddress, keepInAddress } from './form_state.js';
import { changed, describe } from './schema.js';

const SHOWN = 24; // jobs beside the form

export function MakeView() {
  const { list, loaded } = use(models);
  const { fragment } = use(route);
  const asked = useMemo(() => decode(fragment), [fragment]);
  const [chosen, choose] = useState(null); // {model, values}
  useEffect(() => {
    if (asked.model) choose({ model: asked.model, values: asked.body });
  }, [asked]);
  if (!loaded) return html`<p class="faint pad">${t('loading')}</p>`;
  if (!list.length) return html`<p class="pad">${t('make.noModels')}</p>`;
  const first = modelsOf(list, types(list).includes('text-to-image') ? 'text-to-image' : types(list)[0])[0];
  const model = list.find((x) => x.id === chosen?.model) ?? first;
  const values = chosen?.values ?? {};
  // A param that the next model has too keeps its value; of another kind, only the prompt.
  const pickModel = (id) => {
    const next = list.find((x) => x.id === id);
    const kept = Object.entries(values).filter(([name]) =>
      name in next.params.properties && (next.modality === model.modality || name === 'prompt'));
    choose({ model: id, values: Object.fromEntries(kept) });
    keepInAddress(id, changed(describe(next.params), Object.fromEntries(kept)));
  };
  return html`<div class="make">
    <section class="panel" aria-label=${t('make.title')}>
      <h1 class="hidden">${t('make.title')}</h1>
      <${TypePicker} list=${list} current=${model.modality} onPick=${(type) => pickModel(modelsOf(list, type)[0].id)} />
      <${ModelPicker} list=${list} model=${model} onPick=${pickModel} />
      <${RequestForm} key=${`${model.id} ${fragment}`} model=${model} values=${values}
        onValues=${(next) => choose({ model: model.id, values: next })} />
    </section>
    <section class="watch" aria-label=${t('make.watch')}><h2>${t('make.watch')}</h2><${Jobs} /></section>
  </div>`;
}

function TypePicker({ list, current, onPick }) {
  return html`<div class="types" role="radiogroup" aria-label=${t('make.type')}>
    ${types(list).map((type) => html`<label class=${type === current ? 'type on' : 'type'} key=${type}>
      <input type="radio" name="type" value=${type} checked=${type === current} onChange=${() => onPick(type)} />
      <${Icon} name=${typeIcon(type)} /><span>${typeName(type)}</span></label>`)}
  </div>`;
}

function ModelPicker({ list, model, onPick }) {
  return html`<div class="field">
    <label for="model">${t('make.model')}</label>
    <select id="model" onChange=${(e) => onPick(e.target.value)}>
      ${modelsOf(list, model.modality).map((x) => html`<option value=${x.id} selected=${x.id === model.id}>${x.title} (${x.id})</option>`)}
    </select>
    <p class="help">${model.description}</p>
    ${model.state === 'importing' && html`<p class="warning">${t('make.importing')}</p>`}
    ${model.limitations && html`<details class="help"><summary>${t('make.limitations')}</summary>${model.limitations}</details>`}
  </div>`;
}

function RequestForm({ model, values, onValues }) {
  const fields = useMemo(() => describe(model.params), [model.id]);
  const [errors, setErrors] = useState({});
  const [busy, setBusy] = useState(false);
  const latest = useRef(values);
  latest.current = values;
  const form = useRef(null);
  const set = (name, value) => {
    latest.current = { ...latest.current, [name]: value };
    onValues(latest.current);
    setErrors(({ [name]: ignored, ...others }) => others);
    keepInAddress(model.id, changed(fields, latest.current));
  };
  const submit = async () => {
    if (busy) return;
    setBusy(true);
    setErrors({});
    try {
      const body = { ...changed(fields, latest.current), model: model.id };
      const headers = { 'Idempotency-Key': crypto.randomUUID?.() ?? `${Math.random()}${Date.now()}` };
      track(await post(`/generate/${model.modality}`, body, { headers }));
    } catch (error) {
      show(error);
    }
    setBusy(false);
  };
  // At its field, where the error names one that the form has.
  const show = (error) => {
    const name = /^[^.[]+/.exec(error.param ?? '')?.[0];
    const field = fields.find((x) => x.name === name);
    if (!field) return notify(error);
    setErrors({ [name]: error.message });
    const closed = form.current.querySelector('details.advanced:not([open])');
    if (field.advanced && closed) closed.open = true;
    setTimeout(() => form.current.querySelector(`[data-field="${name}"] :is(input, select, textarea)`)?.focus());
    return undefined;
  };
  const context = { has: (name) => fields.some((x) => x.name === name), get: (name) => values[name] };
  const one = (field) => html`<${Field} key=${field.name} field=${field} value=${values[field.name]} error=${errors[field.name]}
    context=${context} onChange=${(value) => set(field.name, value)} />`;
  // A param that needs another is shown beside it, once that is given.
  const shown = fields.filter((x) => !x.needs || values[x.needs] || values[x.name] || errors[x.name]);
  const basic = shown.filter((x) => !x.advanced);
  const advanced = shown.filter((x) => x.advanced);
  const touched = Object.keys(changed(advanced, values)).length;
  const onDrop = async (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    const field = file && fields.find((x) => x.kind === 'artifact' && accepts(x.artifact, file));
    if (!file) return;
    if (!field) notify(new Error(t('drop.nowhere')));
    else upload(file).then(({ sha256 }) => set(field.name, sha256)).catch(notify);
  };
  const share = async () => {
    flushAddress();
    await navigator.clipboard.writeText(location.origin + href('make', encode(model.id, changed(fields, values))));
    notify(t('make.shared'));
  };
  const onKeyDown = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    }
  };
  return html`<form ref=${form} novalidate onSubmit=${(e) => { e.preventDefault(); submit(); }} onKeyDown=${onKeyDown}
      onDragOver=${(e) => e.preventDefault()} onDrop=${onDrop}>
    ${basic.map(one)}
    ${advanced.length > 0 && html`<details class="advanced" open=${touched > 0}>
      <summary>${t('make.advanced')}${touched > 0 && html` <span class="faint">(${t('make.changed', { n: touched })})</span>`}</summary>
      ${advanced.map(one)}</details>`}
    <div class="actions">
      <button type="submit" class="primary" disabled=${busy}>${t('make.submit')} <kbd>${t('make.shortcut')}</kbd></button>
      <button type="button" class="quiet" onClick=${() => { onValues({}); setErrors({}); keepInAddress(model.id, {}); }}>${t('make.reset')}</button>
      <button type="button" class="quiet" onClick=${() => share().catch(notify)}><${Icon} name="link" />${t('make.share')}</button>
    </div>
  </form>`;
}

function Jobs() {
  const { jobs, order, loaded } = use(live);
  if (!order.length) return html`<p class="faint">${loaded ? t('make.idle') : t('loading')}</p>`;
  return html`<div class="jobs">${order.slice(0, SHOWN).map((id) => html`<${JobCard} key=${id} entry=${jobs[id]} />`)}</div>`;
}

