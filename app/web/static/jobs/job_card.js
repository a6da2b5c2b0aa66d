// One job as it runs or as it ended: where it stands, what it has made so far, and its end.
import { html, useEffect, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { duration, summary } from '../lib/format.js';
import { models, typeName } from '../lib/models.js';
import { Link } from '../lib/router.js';
import { use } from '../lib/store.js';
import { Icon } from '../components/icons.js';
import { Tile } from '../components/tile.js';
import { cancel, isActive, secondsLeft } from './job_store.js';
import { notify } from '../components/notices.js';
import { mainOutputs } from './outputs.js';

export function JobCard({ entry }) {
  const { job } = entry;
  const active = isActive(job);
  return html`<article class="card job ${job.status}" aria-label=${`${typeName(job.type)}: ${summary(job)}`} data-job=${job.id}>
    <header>
      <span class="badge ${job.status}">${t(`status.${job.status}`)}</span>
      <${Link} to=${`results/${job.id}/0`} class="job-title">${summary(job)}</${Link}>
      <span class="faint">${job.model}</span>
    </header>
    ${active && html`<${Standing} entry=${entry} />`}
    <${Items} entry=${entry} active=${active} />
    ${job.error && job.status !== 'canceled' && html`<p class="error-text">${job.error.message}</p>`}
    ${active && html`<footer><${CancelButton} job=${job} /></footer>`}
  </article>`;
}

// The place in the queue, or the steps and the time that is left.
function Standing({ entry }) {
  const { job } = entry;
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const { value, step, steps } = job.progress;
  const left = secondsLeft(entry);
  const model = use(models).list.find((x) => x.id === job.model);
  const words = [];
  if (job.status === 'queued' && ['loading', 'importing'].includes(model?.state)) words.push(t(`job.${model.state}`));
  if (job.status === 'queued' && job.queue_position !== null) {
    words.push(job.queue_position ? t('job.ahead', { n: job.queue_position }) : t('job.next'));
  }
  if (steps > 0) words.push(t('job.steps', { step, steps }));
  if (left !== null) words.push(t('job.left', { time: duration(left) }));
  if (job.attempt > 1) words.push(t('job.again', { n: job.attempt }));
  return html`<div class="standing">
    <progress max="1" value=${job.status === 'queued' ? undefined : value} aria-label=${t('job.steps', { step, steps })}></progress>
    <span class="faint">${words.join(' · ')}</span>
  </div>`;
}

function Items({ entry, active }) {
  const { job, previews, texts } = entry;
  const made = mainOutputs(job);
  const indices = Array.from({ length: Math.min(itemsOf(job), 16) }, (_, i) => i);
  if (!active && !made.length) return null;
  return html`<div class="items ${indices.length === 1 ? 'one' : ''}">
    ${indices.map((index) => {
      const output = made.find((x) => x.index === index);
      // Files can be read once the job has ended; a text is in the output itself.
      if (output && (!active || output.role === 'text')) return html`<${Tile} key=${index} job=${job} output=${output} live=${true} />`;
      return active && html`<${Unfinished} key=${index} job=${job} index=${index}
        preview=${previews[index]} text=${texts[index]} seconds=${entry.seconds[index]} />`;
    })}
  </div>`;
}

function Unfinished({ job, index, preview, text, seconds }) {
  const name = summary(job);
  if (text) return html`<div class="tile text live" aria-live="off"><p>${text}<span class="caret"></span></p></div>`;
  return html`<div class="tile live ${preview ? '' : 'waiting'}">
    ${preview && html`<img src=${preview} alt=${t('job.preview', { name })} class="preview" />`}
    ${job.urls.audio && job.status === 'in_progress' && html`<${Listen} job=${job} index=${index} seconds=${seconds} />`}
  </div>`;
}

// Plays while the rest is made. The stream is asked for only once somebody wants to listen.
function Listen({ job, index, seconds }) {
  const [wanted, want] = useState(false);
  if (!wanted) {
    return html`<button type="button" class="listen" onClick=${() => want(true)} aria-label=${t('job.listen')}>
      <${Icon} name="play" />${seconds ? duration(seconds) : ''}</button>`;
  }
  return html`<audio class="listen" controls autoplay src=${`${job.urls.audio}?index=${index}`} aria-label=${t('job.listen')}></audio>`;
}

function CancelButton({ job }) {
  const onClick = () => cancel(job.id).catch(notify);
  return html`<button type="button" class="quiet" disabled=${job.status === 'canceling'} onClick=${onClick}>
    <${Icon} name="stop" />${t('cancel')}</button>`;
}

const itemsOf = (job) => job.input.n ?? 1;
