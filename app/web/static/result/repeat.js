// Generates a job again, and says whether its files have the same bytes.
import { html, useEffect, useState } from '../lib/preact.js';
import { t } from '../lib/i18n.js';
import { get, post } from '../lib/api.js';
import { Link } from '../lib/router.js';
import { use } from '../lib/store.js';
import { Icon } from '../components/icons.js';
import { notify } from '../components/notices.js';
import { isActive, live, track } from '../jobs/job_store.js';
import { repeatable } from './actions.js';

export function Repeat({ job }) {
  const [again, setAgain] = useState(null);
  const entry = use(live).jobs[again];
  const [verdict, setVerdict] = useState(null);
  useEffect(() => {
    setAgain(null);
    setVerdict(null);
  }, [job.id]);
  const running = again && (!entry || isActive(entry.job));
  const ended = entry && !isActive(entry.job) ? entry.job : null;
  useEffect(() => {
    if (ended) setVerdict(ended.status === 'completed' ? sameFiles(job, ended) : 'failed');
  }, [ended?.id, ended?.status]);
  const run = async () => {
    setVerdict(null);
    // A text that a listing left out is in the job itself.
    const whole = job.omitted.length ? await get(`/jobs/${job.id}`) : job;
    const next = await post(`/generate/${job.type}`, repeatable(whole));
    track(next);
    setAgain(next.id);
  };
  return html`<button type="button" class="primary" disabled=${running} onClick=${() => run().catch(notify)}>${t(running ? 'result.running' : 'result.again')}</button>
    <span role="status" class="verdict ${verdict ?? ''}">
      ${verdict === 'same' && html`<${Icon} name="check" />${t('result.same')}`}
      ${verdict === 'different' && t('result.different')}
      ${verdict === 'failed' && (ended?.error?.message ?? t('status.failed'))}
      ${again && !running && html` <${Link} to=${`results/${again}/0`}>${t('job.open')}</${Link}>`}
    </span>`;
}

function sameFiles(one, other) {
  const hashes = (job) => job.outputs.map((x) => `${x.index} ${x.role} ${x.sha256}`).sort().join();
  return hashes(one) === hashes(other) ? 'same' : 'different';
}
