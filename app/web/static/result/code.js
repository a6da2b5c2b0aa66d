// The request of a job as code, to be copied.
import { html, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { use } from '../lib/store.js';
import { Icon } from '../components/icons.js';
import { notify } from '../components/notices.js';
import { session } from '../session/session_store.js';
import { requestOf } from './actions.js';
import { client, curl, openai } from './snippets.js';

export function Code({ job, model }) {
  const { keysRequired } = use(session);
  const [shown, show] = useState('curl');
  const request = requestOf(job, model);
  const texts = { curl: curl(job.type, request, keysRequired), Python: client(job.type, request, keysRequired), OpenAI: openai(job.type, request, keysRequired) };
  const names = Object.keys(texts).filter((name) => texts[name]);
  const copy = async () => {
    await navigator.clipboard.writeText(texts[shown]);
    notify(t('result.copied'));
  };
  return html`<section class="code-box" aria-label=${t('result.code')}>
    <h2>${t('result.code')}</h2>
    <div class="row">
      <div role="radiogroup" class="segments" aria-label=${t('result.code')}>
        ${names.map((name) => html`<label class=${name === shown ? 'on' : ''}><input type="radio" name="code" checked=${name === shown} onChange=${() => show(name)} />${name}</label>`)}
      </div>
      <button type="button" class="quiet" onClick=${() => copy().catch(notify)}><${Icon} name="copy" />${t('result.copy')}</button>
    </div>
    <pre tabindex="0">${texts[shown]}</pre>
  </section>`;
}
