// One param as a labelled control, with its help, its error and its default.
import { html, useState } from '../lib/preact.js';
import { t, known } from '../lib/i18n.js';
import { Icon } from '../components/icons.js';
import { ArtifactInput } from './artifact_input.js';

const CONTROLS = {
  artifact: ArtifactInput, boolean: BooleanInput, choice: ChoiceInput, group: GroupInput, json: JsonInput,
  lines: LinesInput, number: NumberInput, sliders: SlidersInput, suggestions: SuggestionsInput, text: TextInput,
};
const FIELDSETS = ['group', 'sliders'];

export function Field({ field, value, error, onChange, context }) {
  const id = `field-${field.name}`;
  const Control = CONTROLS[field.kind];
  const described = [field.help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(' ');
  const aria = { 'aria-describedby': described || undefined, 'aria-invalid': error ? 'true' : undefined };
  const control = html`<${Control} id=${id} field=${field} value=${value} aria=${aria} onChange=${onChange} context=${context} />`;
  const help = field.help && html`<p class="help" id=${`${id}-help`}>${withCode(field.help)}</p>`;
  const problem = error && html`<p class="error-text" id=${`${id}-error`} role="alert">${error}</p>`;
  const classes = `field ${field.kind} ${error ? 'invalid' : ''}`;
  if (FIELDSETS.includes(field.kind)) {
    return html`<fieldset class=${classes} data-field=${field.name}><legend>${field.label}</legend>${control}${problem}${help}</fieldset>`;
  }
  return html`<div class=${classes} data-field=${field.name}>
    <label for=${id}>${field.label}${field.required && html`<span class="required" aria-hidden="true"> *</span>`}</label>
    ${control}${problem}${help}
  </div>`;
}

// A text whose `names` are set as code.
const withCode = (text) => text.split(/`([^`]+)`/).map((piece, i) => (i % 2 ? html`<code>${piece}</code>` : piece));

const shown = (field) => (field.example === undefined || typeof field.example === 'object' ? '' : String(field.example));

function TextInput({ id, field, value, aria, onChange }) {
  const common = { id, value: value ?? '', placeholder: shown(field), required: field.required, ...aria, onInput: (e) => onChange(e.target.value) };
  if (field.long) return html`<textarea rows=${field.required ? 3 : 2} ...${common}></textarea>`;
  return html`<input type="text" ...${common} />`;
}

function NumberInput({ id, field, value, aria, onChange }) {
  const { min, max, step } = field;
  const read = (e) => onChange(e.target.value === '' ? undefined : Number(e.target.value));
  const usual = field.default ?? '';
  const current = value ?? usual;
  const isSeed = field.name === 'seed' || field.name.endsWith('_seed');
  const input = html`<input type="number" id=${id} min=${min} max=${max} step=${field.integer ? 1 : 'any'} value=${current}
    placeholder=${isSeed ? t('field.random') : t('field.default')} inputmode=${field.integer ? 'numeric' : 'decimal'} ...${aria} onInput=${read} />`;
  if (isSeed) {
    const pick = () => onChange(Math.floor(Math.random() * 2 ** 32));
    return html`<div class="row">${input}<button type="button" class="quiet icon-only" aria-label=${t('field.newSeed')} title=${t('field.newSeed')} onClick=${pick}><${Icon} name="dice" /></button></div>`;
  }
  if (!field.slider) return input;
  return html`<div class="row">
    <input type="range" class=${current === '' ? 'unset' : ''} min=${min} max=${max} step=${step} value=${current === '' ? (min + max) / 2 : current}
      aria-label=${field.label} onInput=${(e) => onChange(Number(e.target.value))} />${input}</div>`;
}

function BooleanInput({ id, field, value, aria, onChange }) {
  const on = value ?? field.default ?? false;
  return html`<input type="checkbox" role="switch" id=${id} checked=${on} ...${aria} onChange=${(e) => onChange(e.target.checked)} />`;
}

function ChoiceInput({ id, field, value, aria, onChange }) {
  const { choices } = field;
  const blank = field.nullable || field.default === undefined;
  const current = value ?? field.default ?? null;
  const at = choices.findIndex((x) => x === current);
  const pick = (e) => onChange(e.target.value === '' ? null : choices[Number(e.target.value)]);
  return html`<select id=${id} value=${at < 0 ? '' : String(at)} ...${aria} onChange=${pick}>
    ${blank && html`<option value="">${t('field.any')}</option>`}
    ${choices.map((choice, i) => html`<option value=${String(i)} selected=${i === at}>${known(`choice.${choice}`, String(choice))}</option>`)}
  </select>`;
}

function SuggestionsInput({ id, field, value, aria, onChange }) {
  return html`<input type="text" id=${id} list=${`${id}-list`} value=${value ?? field.default ?? ''} placeholder=${shown(field) || t('field.any')}
      ...${aria} onInput=${(e) => onChange(e.target.value)} />
    <datalist id=${`${id}-list`}>${field.choices.map((x) => html`<option value=${x}></option>`)}</datalist>`;
}

function LinesInput({ id, field, value, aria, onChange }) {
  const read = (e) => onChange(e.target.value.split('\n').filter((line) => line !== ''));
  const [text, setText] = useState((value ?? field.default ?? []).join('\n'));
  return html`<textarea id=${id} rows="3" value=${text} placeholder=${(field.example ?? []).join('\n') || t('field.oneALine')} ...${aria}
    onInput=${(e) => { setText(e.target.value); read(e); }}></textarea>`;
}

function SlidersInput({ id, field, value, onChange }) {
  const values = value ?? {};
  const set = (name, number) => {
    const { [name]: ignored, ...others } = values;
    onChange(number ? { ...others, [name]: number } : others);
  };
  return html`<div class="sliders">${field.names.map((name) => html`<label class="slider" key=${name}>
    <span>${name}</span>
    <input type="range" id=${`${id}-${name}`} min=${field.min} max=${field.max} step=${field.step} value=${values[name] ?? 0} onInput=${(e) => set(name, Number(e.target.value))} />
    <output>${(values[name] ?? 0).toFixed(1)}</output></label>`)}</div>`;
}

function GroupInput({ id, field, value, onChange, context }) {
  const on = value !== undefined && value !== null;
  const begin = () => onChange(Object.fromEntries(field.fields.map((x) => [x.name, x.default ?? x.example ?? x.min])
    .filter(([, v]) => v !== undefined)));
  return html`<label class="use"><input type="checkbox" id=${id} checked=${on} onChange=${(e) => (e.target.checked ? begin() : onChange(null))} /> ${t('field.use')}</label>
    ${on && field.fields.map((inner) => html`<${Field} key=${inner.name} field=${{ ...inner, name: `${field.name}.${inner.name}` }} value=${value[inner.name]}
      context=${context} onChange=${(x) => onChange({ ...value, [inner.name]: x })} />`)}`;
}

function JsonInput({ id, field, value, aria, onChange }) {
  const usual = value ?? null;
  const [text, setText] = useState(usual === null ? '' : JSON.stringify(usual, null, 2));
  const [wrong, setWrong] = useState(false);
  const read = (e) => {
    setText(e.target.value);
    try {
      onChange(e.target.value.trim() ? JSON.parse(e.target.value) : null);
      setWrong(false);
    } catch {
      setWrong(true);
    }
  };
  return html`<textarea id=${id} class="code" rows="2" value=${text} placeholder=${field.example ? JSON.stringify(field.example) : t('field.json')}
    ...${aria} onInput=${read}></textarea>${wrong && html`<p class="error-text" role="alert">${t('field.badJson')}</p>`}`;
}
