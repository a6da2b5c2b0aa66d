// Jobs a minute as bars: what was completed, and on top of it what failed.
import { html } from '../lib/preact.js';
import { t } from '../lib/i18n.js';

const WIDTH = 600;
const HEIGHT = 120;

export function Bars({ minutes, label }) {
  const most = Math.max(1, ...minutes.map((x) => x.completed + x.failed));
  const bar = WIDTH / minutes.length;
  const high = (n) => (n / most) * HEIGHT;
  return html`<figure class="bars">
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT + 18}`} role="img" aria-label=${label}>
      ${minutes.map(({ completed, failed }, i) => html`<g key=${i}>
        <rect class="done" x=${i * bar + 1} y=${HEIGHT - high(completed)} width=${bar - 2} height=${high(completed)} />
        <rect class="fail" x=${i * bar + 1} y=${HEIGHT - high(completed + failed)} width=${bar - 2} height=${high(failed)} /></g>`)}
      <line x1="0" x2=${WIDTH} y1=${HEIGHT} y2=${HEIGHT} />
      <text x="0" y=${HEIGHT + 15}>${t('status.minutesAgo', { n: minutes.length })}</text>
      <text x=${WIDTH} y=${HEIGHT + 15} class="end">${t('status.now')}</text>
      <text x="0" y="11">${most}</text>
    </svg>
    <figcaption class="faint">${label}</figcaption>
  </figure>`;
}
