// The models of the service, as GET /models lists them.
import { get } from './api.js';
import { known } from './i18n.js';
import { Store } from './store.js';

export const models = new Store({ list: [], loaded: false, error: null });

const ORDER = ['image', 'text-to-image', 'video', 'audio', 'story'];

let reading = null;

// Callers that come while it is read share one request.
export function readModels() {
  reading ??= read().finally(() => { reading = null; });
  return reading;
}

async function read() {
  try {
    const { data } = await get('/models');
    models.set({ list: data, loaded: true, error: null });
  } catch (error) {
    models.update({ error });
  }
}

// The kinds of output that there is a model for; new kinds come last.
export function types(list) {
  const all = [...new Set(list.map((x) => x.modality))];
  const rank = (x) => (ORDER.includes(x) ? ORDER.indexOf(x) : ORDER.length);
  return all.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

export const typeName = (type) => known(`type.${type}`, type);

// Those of a kind, the one first that its route uses by itself.
export function modelsOf(list, type) {
  return list.filter((x) => x.modality === type)
    .sort((a, b) => Number(b.default) - Number(a.default) || a.title.localeCompare(b.title));
}

// The params of models that take a file of this kind: [{model, field}].
export function takersOf(list, contentType) {
  const uses = [];
  for (const model of list) {
    for (const [name, property] of Object.entries(model.params.properties)) {
      const kind = artifactOf(property);
      if (kind && (contentType === kind || contentType.startsWith(`${kind}/`))) uses.push({ model, field: name });
    }
  }
  return uses;
}

export function artifactOf(property) {
  const options = property.anyOf ?? [property];
  return options.map((x) => x.artifact).find(Boolean);
}
