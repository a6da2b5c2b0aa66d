// The jobs of this key as they run. A listing tells which there are, also those of other devices;
// one event stream tells how they go on: a browser has only six connections to a host.
import { connection, get, post, query } from '../lib/api.js';
import { follow } from '../lib/events.js';
import { Store } from '../lib/store.js';

const ACTIVE = ['queued', 'in_progress', 'canceling'];
const FOLLOWED = 32; // as many as one stream takes
const UNSEEN = '-';
const RECENT = 12;

// jobs: by id, {job, previews, texts, seconds, rate}; order: ids, the newest first.
export const live = new Store({ jobs: {}, order: [], loaded: false });
const places = new Map(); // the last event that was seen of each job
let followed = []; // the jobs of the stream that is open
let stream = null;
const listeners = new Set();

export const isActive = (job) => ACTIVE.includes(job.status);

// Calls `listener(job)` when a job that was active has ended.
export function whenEnded(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function track(job) {
  const { jobs, order } = live.value;
  const before = jobs[job.id];
  const entry = { previews: {}, texts: {}, seconds: {}, ...before, job };
  for (const draft of job.drafts ?? []) {
    const known = entry.texts[draft.index] ?? '';
    if (draft.text.length > known.length) entry.texts = { ...entry.texts, [draft.index]: draft.text };
  }
  live.update({
    jobs: { ...jobs, [job.id]: entry },
    order: before ? order : [job.id, ...order].sort().reverse(),
  });
  if (before && isActive(before.job) && !isActive(job)) listeners.forEach((listener) => listener(job));
  manageStream();
}

export function untrack(id) {
  const { [id]: gone, ...jobs } = live.value.jobs;
  live.update({ jobs, order: live.value.order.filter((x) => x !== id) });
}

export async function cancel(id) {
  track(await post(`/jobs/${id}/cancel`));
}

function change(id, changes) {
  const entry = live.value.jobs[id];
  if (entry) live.update({ jobs: { ...live.value.jobs, [id]: { ...entry, ...changes } } });
}

// Follows the jobs that run, and those that wait longest where there is room, over one connection.
function manageStream() {
  const { jobs, order } = live.value;
  const active = order.filter((id) => isActive(jobs[id].job));
  const running = active.filter((id) => jobs[id].job.status !== 'queued');
  const wanted = [...running, ...active.filter((id) => !running.includes(id)).reverse()].slice(0, FOLLOWED).sort();
  if (wanted.every((id) => followed.includes(id))) return; // it ends by itself
  followed = wanted;
  stream?.abort();
  const own = new AbortController();
  stream = own;
  const hear = (name, data, id) => {
    id.split(',').forEach((place, i) => { if (place !== UNSEEN) places.set(wanted[i], place); });
    heard(data.job_id ?? data.id, name, data);
  };
  const place = () => (wanted.some((id) => places.has(id)) ? wanted.map((id) => places.get(id) ?? UNSEEN).join(',') : '');
  follow(`/jobs/events?${wanted.map((id) => `job=${id}`).join('&')}`, place, hear, own.signal).finally(() => {
    if (stream === own) followed = [];
  });
}

function heard(id, name, data) {
  const entry = live.value.jobs[id];
  if (!entry) return;
  if (name === 'progress') {
    const { step, steps, value, status } = data;
    const job = { ...entry.job, status, queue_position: null, progress: { step, steps, value } };
    change(id, { job, rate: rateOf(entry, value) });
  } else if (name === 'preview') {
    change(id, {
      previews: { ...entry.previews, [data.index]: data.url },
      seconds: { ...entry.seconds, [data.index]: data.seconds },
    });
  } else if (name === 'delta') {
    const before = entry.texts[data.index] ?? '';
    if (data.offset > before.length) return;
    change(id, { texts: { ...entry.texts, [data.index]: before.slice(0, data.offset) + data.text } });
  } else if (name === 'output') {
    const { job_id: ignored, ...output } = data;
    const others = entry.job.outputs.filter((x) => x.sha256 !== output.sha256 || x.index !== output.index);
    change(id, { job: { ...entry.job, outputs: [...others, output] } });
  } else if (data.object === 'job') {
    track(data);
  } else if (data.status) {
    track({ ...entry.job, status: data.status, attempt: data.attempt ?? entry.job.attempt });
  }
}

// Parts of the job a second, from the first progress that was seen.
function rateOf({ rate }, value) {
  const at = performance.now() / 1000;
  if (!rate || value < rate.value) return { at, value, perSecond: 0 };
  const seconds = at - rate.at;
  return { ...rate, perSecond: seconds > 0.2 ? (value - rate.value) / seconds : 0 };
}

export function secondsLeft({ job, rate }) {
  if (!rate?.perSecond || !(job.progress.value > 0)) return null;
  return (1 - job.progress.value) / rate.perSecond;
}

async function look() {
  const recent = get(`/jobs${query({ limit: RECENT })}`);
  const listings = await Promise.all([...ACTIVE.map((status) => get(`/jobs${query({ status, limit: 100 })}`)), recent]);
  const listed = new Map(listings.flatMap((x) => x.data).map((job) => [job.id, job]));
  const { jobs } = live.value;
  for (const [id, job] of listed) {
    // A stream knows more of a running job than a listing does.
    if (followed.includes(id) && isActive(job) && jobs[id] && jobs[id].job.status !== 'queued') continue;
    if (!jobs[id] || JSON.stringify(jobs[id].job) !== JSON.stringify(job)) track(await whole(job));
  }
  for (const { job } of Object.values(jobs)) {
    if (isActive(job) && !listed.has(job.id) && !followed.includes(job.id)) await lookAt(job.id);
  }
  live.update({ loaded: true });
}

// Listings leave long texts out.
const whole = (job) => (job.omitted.length && job.status !== 'expired' ? get(`/jobs/${job.id}`) : job);

async function lookAt(id) {
  try {
    track(await get(`/jobs/${id}`));
  } catch (error) {
    if (error.status === 404) untrack(id);
  }
}

// Looks at the jobs again and again while the page is open.
export function watch() {
  let timer;
  let failures = 0;
  const round = async () => {
    clearTimeout(timer);
    try {
      await look();
      failures = 0;
    } catch (error) {
      failures += 1;
      if (error.status === 401) return;
    }
    const some = live.value.order.some((id) => isActive(live.value.jobs[id].job));
    const pause = connection.value.lost ? Math.min(500 * 2 ** failures, 5000) : some ? 1500 : 4000;
    timer = setTimeout(round, document.hidden ? 4 * pause : pause);
  };
  document.addEventListener('visibilitychange', () => document.hidden || round());
  round();
  return () => clearTimeout(timer);
}
