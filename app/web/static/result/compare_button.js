// Remembers one result, and opens it beside another.
import { html } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { Store, use } from '../lib/store.js';
import { summary } from '../lib/format.js';
import { Link } from '../lib/router.js';
import { notify } from '../components/notices.js';

const NAME = 'atelier-compare';
const remembered = new Store(JSON.parse(sessionStorage.getItem(NAME) ?? 'null'));
remembered.subscribe((value) => sessionStorage.setItem(NAME, JSON.stringify(value)));

export function CompareButton({ job, output }) {
  const other = use(remembered);
  if (!output.content_type.startsWith('image/')) return null;
  const own = `${job.id}/${output.index}`;
  const keep = () => {
    remembered.set({ path: own, name: summary(job) });
    notify(t('result.pick'));
  };
  return html`<button type="button" onClick=${keep}>${t('result.compare')}</button>
    ${other && other.path !== own && html`<${Link} to=${`compare/${other.path}/${own}`} class="button">${t('result.compareThis', { name: other.name })}</${Link}>`}`;
}
