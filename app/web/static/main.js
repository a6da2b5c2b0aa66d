// The Studio: its frame, and the view that the address names.
import { html, render, useEffect } from './lib/preact.js';
import { connection, prefix } from './lib/api.js';
import { locale, t } from './lib/i18n.js';
import { models, readModels } from './lib/models.js';
import { language, showTheme, theme } from './lib/preferences.js';
import { Link, route } from './lib/router.js';
import { use } from './lib/store.js';
import { Notices } from './components/notices.js';
import { CompareView } from './result/compare_view.js';
import { GalleryView } from './gallery/gallery_view.js';
import { live, isActive, watch } from './jobs/job_store.js';
import { LoginView } from './session/login_view.js';
import { MakeView } from './make/make_view.js';
import { ModelsView } from './models/models_view.js';
import { open, session, signOut } from './session/session_store.js';
import { ResultView } from './result/result_view.js';
import { StatusView } from './status/status_view.js';

const VIEWS = {
  make: MakeView, gallery: GalleryView, results: ResultView, compare: CompareView, models: ModelsView, status: StatusView,
};
const TABS = { make: '', gallery: 'gallery', models: 'models', status: 'status' };

function App() {
  use(language);
  const { state } = use(session);
  const { view } = use(route);
  const shown = use(theme);
  useEffect(() => showTheme(shown), [shown]);
  useEffect(() => { document.documentElement.lang = locale(); });
  useEffect(() => { document.title = `${t(`nav.${view}`)} · Atelier Studio`.replace(/^nav\.\w+ · /, ''); });
  return html`
    <a class="skip" href="#content" onClick=${skip}>${t('skip')}</a>
    <${TopBar} view=${view} />
    <${Lost} />
    <main id="content" tabindex="-1">
      ${state === 'closed' && html`<${LoginView} />`}
      ${state === 'open' && html`<${Signed} view=${view} />`}
    </main>
    <${Notices} />`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById('content').focus();
}

function Signed({ view }) {
  useEffect(() => {
    if (!models.value.loaded) readModels();
    const timer = setInterval(() => document.hidden || readModels(), 5000);
    const stop = watch();
    return () => {
      clearInterval(timer);
      stop();
    };
  }, []);
  const View = VIEWS[view] ?? NotFound;
  return html`<${View} />`;
}

function TopBar({ view }) {
  const { jobs, order } = use(live);
  const running = order.filter((id) => isActive(jobs[id].job)).length;
  return html`<header class="top">
    <${Link} to="" class="brand"><img src=${new URL('icon.svg', import.meta.url).href} alt="" />Atelier</${Link}>
    <nav aria-label=${t('nav.label')}>
      ${Object.entries(TABS).map(([name, to]) => html`<${Link} to=${to} key=${name} aria-current=${view === name ? 'page' : undefined}>
        ${t(`nav.${name}`)}${name === 'make' && running > 0 && html`<span class="count">${running}</span>`}</${Link}>`)}
      <a href=${`${prefix}/docs`}>${t('nav.docs')}</a>
    </nav>
    <${Preferences} />
  </header>`;
}

function Preferences() {
  const { keysRequired, state, owner } = use(session);
  return html`<div class="preferences">
    <select aria-label=${t('theme.label')} onChange=${(e) => theme.set(e.target.value)}>
      ${['system', 'light', 'dark'].map((x) => html`<option value=${x} selected=${x === theme.value}>${t(`theme.${x}`)}</option>`)}
    </select>
    <select aria-label=${t('language.label')} onChange=${(e) => language.set(e.target.value)}>
      ${[['', t('language.')], ['en', 'English'], ['zh', '中文']].map(([x, name]) =>
        html`<option value=${x} selected=${x === language.value}>${name}</option>`)}
    </select>
    ${keysRequired && state === 'open' && html`<button type="button" class="quiet" title=${t('login.as', { name: owner })} onClick=${signOut}>${t('login.out')}</button>`}
  </div>`;
}

function Lost() {
  return html`<div role="alert">${use(connection).lost && html`<p class="lost">${t('connection.lost')}</p>`}</div>`;
}

function NotFound() {
  return html`<div class="pad"><h1>${t('notFound.title')}</h1><${Link} to="">${t('notFound.link')}</${Link}></div>`;
}

open();
readModels(); // beside the session, so that the form is there sooner
render(html`<${App} />`, document.getElementById('app'));
