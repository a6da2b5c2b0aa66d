// What can be done with a result: found in the schemas of the models, not known beforehand.
import { known, t } from '../lib/i18n.js';
import { takersOf } from '../lib/models.js';
import { encode } from '../make/form_state.js';

const WORDS = 4000; // letters of a text to go on from

// The request of a job without what is empty: as somebody would have written it.
export function requestOf(job, model) {
  const usual = model?.params.properties ?? {};
  const given = Object.entries(job.input).filter(([name, value]) =>
    value !== null && !(name in usual && JSON.stringify(usual[name].default) === JSON.stringify(value)));
  return { ...Object.fromEntries(given), seed: job.seed, model: job.model };
}

const own = (request) => Object.fromEntries(Object.entries(request).filter(([name]) => name !== 'model'));

// [{label, fragment}]: each opens the form of a model.
export function actionsFor(job, output, list) {
  const model = list.find((x) => x.id === job.model);
  const actions = [];
  const add = (label, target, values) => actions.push({ label, model: target.id, fragment: encode(target.id, values) });
  const shared = (target) => ('prompt' in target.params.properties && job.input.prompt ? { prompt: job.input.prompt } : {});
  // The files of this item: music comes with its score.
  const files = job.outputs.filter((x) => x.index === output.index && (x === output || x.role === 'score'));
  const uses = files.flatMap((file) => best(takersOf(list, file.content_type), job).map((use) => ({ ...use, file })));
  for (const { model: target, field, file } of uses) {
    if (field === 'mask') continue;
    const label = known(`action.${field}.${target.modality}`, known(`action.${field}`, t('action.other', { field: target.params.properties[field].title ?? field })));
    add(label, target, { ...shared(target), [field]: file.sha256 });
  }
  const upscale = model?.params.properties.upscale;
  if (upscale?.enum && (job.input.upscale ?? 1) < Math.max(...upscale.enum) && ['picture', 'video'].includes(output.role)) {
    const request = own(requestOf(job, model));
    add(t('action.upscale'), model, { ...request, n: undefined, seed: output.seed, upscale: Math.max(...upscale.enum) });
  }
  if (output.role === 'text') {
    const writer = model && 'text' in model.params.properties ? model : null;
    const kind = writer?.params.properties.kind?.enum?.includes('continuation') ? { kind: 'continuation' } : {};
    if (writer) add(t('action.text'), writer, { ...kind, text: (output.text ?? '').slice(-WORDS) });
  }
  if (model) add(t('action.edit'), model, own(requestOf(job, model)));
  return actions;
}

// One model for each use: the job's own, else the one its route uses, else the first.
function best(takers, job) {
  const uses = new Map();
  for (const taker of takers) {
    const use = `${taker.field} ${taker.model.modality === 'text-to-image' ? 'image' : taker.model.modality}`;
    const before = uses.get(use);
    const rank = ({ model }) => (model.id === job.model ? 3 : model.default ? 2 : model.modality === job.type ? 1 : 0);
    if (!before || rank(taker) > rank(before)) uses.set(use, taker);
  }
  return [...uses.values()];
}

export const repeatable = (job) => Object.fromEntries(
  Object.entries({ ...job.input, seed: job.seed, model: job.model }).filter(([name, value]) => value !== null && name !== 'metadata'),
);
