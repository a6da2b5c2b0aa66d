// Short notes in a corner of the page, which screen readers say.
import { html } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { Store, use } from '../lib/store.js';
import { Icon } from './icons.js';

const notices = new Store([]);
let number = 0;

export function notify(what) {
  const failed = what instanceof Error;
  if (failed && what.status === 401) return; // the sign-in form is shown already
  const id = (number += 1);
  const text = failed ? what.message : what;
  notices.set([...notices.value.slice(-3), { id, text, failed }]);
  setTimeout(() => dismiss(id), failed ? 12000 : 4000);
}

function dismiss(id) {
  notices.set(notices.value.filter((x) => x.id !== id));
}

export function Notices() {
  return html`<div class="notices" role="status" aria-live="polite">
    ${use(notices).map(({ id, text, failed }) => html`<div class="notice ${failed ? 'failed' : ''}" key=${id}>
      <span>${text}</span>
      <button type="button" class="quiet icon-only" aria-label=${t('close')} onClick=${() => dismiss(id)}><${Icon} name="close" /></button>
    </div>`)}
  </div>`;
}
