// All results of this key: filters, favourites, and what to do with many at once.
import { html, useCallback, useEffect, useMemo, useRef, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { models, modelsOf, typeName, types } from '../lib/models.js';
import { favourites, toggleFavourite } from '../lib/preferences.js';
import { route, rewrite } from '../lib/router.js';
import { clipped, summary } from '../lib/format.js';
import { use } from '../lib/store.js';
import { Icon } from '../components/icons.js';
import { Tile } from '../components/tile.js';
import { whenEnded } from '../jobs/job_store.js';
import { Grid } from './grid.js';
import { EMPTY, Results } from './results.js';
import { SelectionBar } from './selection_bar.js';

const PAUSE = 300; // milliseconds after the last key

export function GalleryView() {
  const results = useMemo(() => new Results(), []);
  const [filters, setFilters] = useState(() => ({ ...EMPTY, ...read(route.value.fragment) }));
  const [selected, select] = useState(() => new Set());
  const anchor = useRef(null);
  const { tiles, more, busy, error } = use(results.store);
  const starred = use(favourites);
  useEffect(() => {
    const timer = setTimeout(() => results.start(filters), results.round && PAUSE);
    rewrite('gallery', new URLSearchParams(Object.entries(filters).filter(([, v]) => v)).toString());
    return () => clearTimeout(timer);
  }, [filters]);
  useEffect(() => whenEnded((job) => results.add(job)), []);
  const end = useCallback(() => results.next(), []);
  // With Shift, everything from the one before.
  const toggle = (at, event) => {
    const names = new Set(selected);
    const [from, to] = event.shiftKey && anchor.current !== null ? [anchor.current, at].sort((a, b) => a - b) : [at, at];
    const on = !selected.has(tiles[at].name);
    for (const { name } of tiles.slice(from, to + 1)) names[on ? 'add' : 'delete'](name);
    anchor.current = at;
    select(names);
  };
  const filtered = Object.values(filters).some(Boolean);
  return html`<div class="pad gallery">
    <h1>${t('gallery.title')}</h1>
    <${Filters} filters=${filters} onChange=${(changes) => setFilters({ ...filters, ...changes })} />
    <p class="faint" role="status">${busy ? t('gallery.more') : t('gallery.shown', { n: `${tiles.length}${more ? '+' : ''}` })}</p>
    ${error && html`<p class="error-text" role="alert">${error.message}</p>`}
    ${!busy && !more && !tiles.length && html`<p>${t(filtered ? 'gallery.emptyFiltered' : 'gallery.empty')}</p>`}
    <${Grid} items=${tiles} label=${t('gallery.results')} onEnd=${end}>
      ${({ job, output, name }, at) => html`
        <${Tile} job=${job} output=${output} />
        <div class="caption">
          <input type="checkbox" aria-label=${`${t('gallery.select')}: ${summary(job)}`} checked=${selected.has(name)} onClick=${(e) => toggle(at, e)} />
          <span title=${summary(job)}>${clipped(summary(job), 40)}</span>
          <${Star} name=${name} on=${starred.includes(name)} />
        </div>`}
    </${Grid}>
    ${selected.size > 0 && html`<${SelectionBar} tiles=${tiles.filter((x) => selected.has(x.name))} onNone=${() => select(new Set())}
      onDeleted=${(ids) => { results.drop(ids); select(new Set()); }} />`}
  </div>`;
}

export function Star({ name, on }) {
  const label = t(on ? 'unfavourite' : 'favourite');
  return html`<button type="button" class="quiet icon-only star ${on ? 'on' : ''}" aria-pressed=${on ? 'true' : 'false'} aria-label=${label} title=${label}
    onClick=${() => toggleFavourite(name)}><${Icon} name="heart" /></button>`;
}

function Filters({ filters, onChange }) {
  const { list } = use(models);
  const set = (name) => (event) => onChange({ [name]: event.target.value });
  const known = filters.type ? modelsOf(list, filters.type) : [...list].sort((a, b) => a.id.localeCompare(b.id));
  return html`<form class="filters" role="search" onSubmit=${(e) => e.preventDefault()}>
    <input type="search" value=${filters.q} placeholder=${t('gallery.search')} aria-label=${t('gallery.search')} onInput=${set('q')} />
    <select aria-label=${t('gallery.type')} onChange=${(e) => onChange({ type: e.target.value, model: '' })}>
      <option value="">${t('gallery.all')}</option>
      ${types(list).map((x) => html`<option value=${x} selected=${x === filters.type}>${typeName(x)}</option>`)}
    </select>
    <select aria-label=${t('gallery.model')} onChange=${set('model')}>
      <option value="">${t('gallery.allModels')}</option>
      ${known.map(({ id }) => html`<option value=${id} selected=${id === filters.model}>${id}</option>`)}
    </select>
    <label>${t('gallery.from')} <input type="date" value=${filters.from} onInput=${set('from')} /></label>
    <label>${t('gallery.to')} <input type="date" value=${filters.to} onInput=${set('to')} /></label>
    <label class="use"><input type="checkbox" checked=${filters.favourites} onChange=${(e) => onChange({ favourites: e.target.checked })} /> ${t('gallery.favourites')}</label>
  </form>`;
}

const read = (fragment) => {
  const values = Object.fromEntries([...new URLSearchParams(fragment)].filter(([name]) => name in EMPTY));
  return { ...values, favourites: values.favourites === 'true' };
};
