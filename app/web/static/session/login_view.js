// Asks for an API key.
import { html, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { signIn } from './session_store.js';

export function LoginView() {
  const [value, setValue] = useState('');
  const [lasting, setLasting] = useState(false);
  const [problem, setProblem] = useState('');
  const submit = (event) => {
    event.preventDefault();
    setProblem('');
    signIn(value.trim(), lasting).catch((error) => setProblem(error.message));
  };
  return html`<form class="login panel" onSubmit=${submit}>
    <h1>${t('login.title')}</h1>
    <div class="field ${problem ? 'invalid' : ''}">
      <label for="key">${t('login.key')}</label>
      <input type="password" id="key" autocomplete="current-password" required value=${value} aria-describedby="key-help key-error"
        aria-invalid=${problem ? 'true' : undefined} onInput=${(e) => setValue(e.target.value)} />
      ${problem && html`<p class="error-text" id="key-error" role="alert">${problem}</p>`}
      <p class="help" id="key-help">${t('login.help')}</p>
    </div>
    <label class="use"><input type="checkbox" checked=${lasting} onChange=${(e) => setLasting(e.target.checked)} /> ${t('login.keep')}</label>
    <button type="submit" class="primary">${t('login.submit')}</button>
  </form>`;
}
