// What a form shows of a model's JSON schema: one description of each param.
// A param is a `kind` of control, whatever model it belongs to.
import { known } from '../lib/i18n.js';
import { artifactOf } from '../lib/models.js';

const HIDDEN = ['model'];
const LONG = 300; // letters from which a text gets several lines

export function describe(schema) {
  const required = new Set(schema.required ?? []);
  const needs = needsOf(schema);
  return Object.entries(schema.properties)
    .filter(([name]) => !HIDDEN.includes(name))
    .map(([name, property]) => ({ ...field(name, property, schema.$defs ?? {}, required.has(name)), needs: needs[name] }))
    .map((x, i, all) => ({ x, rank: rank(x, all), i }))
    .sort((a, b) => a.rank - b.rank || a.i - b.i)
    .map(({ x }) => x);
}

// What must be said first, then words, choices, amounts, and files with what goes with them.
function rank(x, all) {
  if (x.required) return 0;
  if (['n', 'seed'].includes(x.name)) return 6;
  if (x.kind === 'artifact' || all.find((y) => y.name === x.needs)?.kind === 'artifact') return 5;
  return { text: 1, choice: 2, suggestions: 2, boolean: 4 }[x.kind] ?? 3;
}

// Which param another goes with, as the schema refuses it without: `{strength: 'init_image'}`.
function needsOf(schema) {
  const needs = {};
  for (const { properties = {} } of schema.if?.anyOf ?? []) {
    const names = Object.keys(properties);
    const absent = names.find((name) => JSON.stringify(properties[name].enum) === '[null]');
    const present = names.find((name) => JSON.stringify(properties[name].not?.enum) === '[null]');
    if (names.length === 2 && absent && present) needs[present] = absent;
  }
  return needs;
}

function field(name, property, definitions, required) {
  const options = (property.anyOf ?? [property]).map((x) => resolved(x, definitions));
  const real = options.filter((x) => x.type !== 'null');
  return {
    name,
    required,
    label: known(`param.${name}`, property.title ?? title(name)),
    help: known(`help.${name}`, property.description ?? ''),
    default: property.default,
    nullable: real.length < options.length,
    example: property.examples?.[0],
    advanced: !required && property.advanced === true,
    ...control(real, property, definitions),
  };
}

const resolved = (option, definitions) =>
  (option.$ref ? { ...definitions[option.$ref.split('/').pop()], ...option } : option);

const title = (name) => name.replaceAll('_', ' ').replace(/^./, (x) => x.toUpperCase());

function control(options, property, definitions) {
  const [first] = options;
  const artifact = artifactOf(property);
  if (artifact) return { kind: 'artifact', artifact };
  const choices = options.find((x) => x.enum);
  const free = options.some((x) => x.type === 'string' && !x.enum);
  if (choices) return { kind: free ? 'suggestions' : 'choice', choices: choices.enum };
  if (first?.type === 'boolean') return { kind: 'boolean' };
  if (first?.type === 'integer' || first?.type === 'number') return { kind: 'number', ...range(first) };
  if (first?.type === 'string') return { kind: 'text', long: (first.maxLength ?? 0) > LONG, maxLength: first.maxLength };
  if (first?.type === 'array' && first.items?.type === 'string') return { kind: 'lines' };
  if (first?.type === 'object') {
    const names = first.propertyNames?.enum;
    if (names && ['number', 'integer'].includes(first.additionalProperties?.type)) {
      return { kind: 'sliders', names, ...range(first.additionalProperties) };
    }
    if (first.properties && Object.values(first.properties).every((x) => simple(resolved(x, definitions)))) {
      return { kind: 'group', fields: describe({ ...first, $defs: definitions }) };
    }
  }
  return { kind: 'json' };
}

const simple = (property) => ['integer', 'number', 'string', 'boolean'].includes(property.type);

function range(option) {
  const integer = option.type === 'integer';
  const min = option.minimum ?? option.exclusiveMinimum;
  const max = option.maximum ?? option.exclusiveMaximum;
  const bounded = min !== undefined && max !== undefined;
  return { integer, min, max, step: integer ? 1 : stepOf(bounded ? max - min : 1), slider: bounded && max - min <= 100 && min < max };
}

// A hundredth of the range or finer, as a power of ten.
const stepOf = (width) => 10 ** Math.min(0, Math.floor(Math.log10(width / 50)));

// What to send: the params that differ from their defaults.
export function changed(fields, values) {
  const body = {};
  for (const { name, default: usual } of fields) {
    const value = values[name];
    if (value === undefined || value === null || value === '') continue;
    if (JSON.stringify(value) !== JSON.stringify(usual)) body[name] = value;
  }
  return body;
}
