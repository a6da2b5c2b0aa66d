// What can be done with the results that are selected.
import { html, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { post, prefix, remove } from '../lib/api.js';
import { Icon } from '../components/icons.js';
import { notify } from '../components/notices.js';
import { untrack } from '../jobs/job_store.js';
import { save } from '../components/save.js';

const AT_ONCE = 4;

export function SelectionBar({ tiles, onNone, onDeleted }) {
  const [busy, setBusy] = useState('');
  const ids = [...new Set(tiles.map((x) => x.job.id))];
  const run = async (what, action) => {
    setBusy(what);
    await action().catch(notify);
    setBusy('');
  };
  const pack = async () => {
    const { id } = await post('/archives', { jobs: ids });
    save(`${prefix}/archives/${id}`, 'atelier.zip');
  };
  const erase = async () => {
    if (!window.confirm(t('gallery.confirm', { n: ids.length }))) return;
    const gone = [];
    try {
      for (let i = 0; i < ids.length; i += AT_ONCE) {
        await Promise.all(ids.slice(i, i + AT_ONCE).map(async (id) => {
          await remove(`/jobs/${id}`).catch((error) => { if (error.status !== 404) throw error; });
          untrack(id);
          gone.push(id);
        }));
      }
    } finally {
      onDeleted(gone);
    }
  };
  return html`<div class="selection" role="toolbar" aria-label=${t('gallery.selected', { n: tiles.length })}>
    <strong>${t('gallery.selected', { n: tiles.length })}</strong>
    <button type="button" disabled=${busy} onClick=${() => run('pack', pack)}><${Icon} name="download" />${t(busy === 'pack' ? 'gallery.packing' : 'gallery.download')}</button>
    <button type="button" class="danger" disabled=${busy} onClick=${() => run('erase', erase)}><${Icon} name="trash" />${t(busy === 'erase' ? 'gallery.deleting' : 'gallery.delete')}</button>
    <button type="button" class="quiet" onClick=${onNone}>${t('gallery.none')}</button>
  </div>`;
}
