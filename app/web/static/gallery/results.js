// The results of this key, page by page, as the filters ask for them.
import { get, query } from '../lib/api.js';
import { favourites, mark } from '../lib/preferences.js';
import { Store } from '../lib/store.js';
import { mainOutputs } from '../jobs/outputs.js';

const PAGE = 100; // jobs

export const EMPTY = { type: '', model: '', q: '', from: '', to: '', favourites: false };

const day = (text, plus = 0) => {
  if (!text) return '';
  const [year, month, date] = text.split('-').map(Number);
  return Math.floor(new Date(year, month - 1, date + plus) / 1000);
};

const asked = ({ type, model, q, from, to }) =>
  ({ type, model, q: q.trim(), created_after: day(from), created_before: day(to, 1), status: 'completed', limit: PAGE });

const tiles = (job) => mainOutputs(job).map((output) => ({ job, output, name: mark(job.id, output.index) }));

// tiles: [{job, output, name}], the newest first.
export class Results {
  constructor() {
    this.store = new Store({ tiles: [], more: true, busy: false, error: null });
    this.filters = EMPTY;
    this.round = 0;
  }

  start(filters) {
    this.filters = filters;
    this.round += 1;
    this.after = '';
    this.store.set({ tiles: [], more: true, busy: false, error: null });
    this.next();
  }

  async next() {
    const { busy, more, tiles: before } = this.store.value;
    if (busy || !more) return;
    const { round } = this;
    this.store.update({ busy: true });
    try {
      const page = this.filters.favourites ? await this.favourites() : await get(`/jobs${query({ ...asked(this.filters), after: this.after })}`);
      if (round !== this.round) return;
      this.after = page.last_id;
      this.store.set({ tiles: [...before, ...page.data.flatMap(tiles).filter((x) => this.shows(x))], more: page.has_more, busy: false, error: null });
      // A search examines so many jobs at a time, of which none may match.
      if (page.has_more && this.store.value.tiles.length === before.length) this.next();
    } catch (error) {
      if (round === this.round) this.store.update({ busy: false, more: false, error });
    }
  }

  shows({ name }) {
    return !this.filters.favourites || favourites.value.includes(name);
  }

  // All of them at once: their ids are known. One that is gone is left out.
  async favourites() {
    const ids = [...new Set(favourites.value.map((x) => x.split('/')[0]))].sort().reverse();
    const jobs = [];
    for (let i = 0; i < ids.length; i += 6) {
      const some = await Promise.all(ids.slice(i, i + 6).map((id) => get(`/jobs/${id}`).catch(() => null)));
      jobs.push(...some.filter((job) => job && job.status === 'completed' && this.matches(job)));
    }
    return { data: jobs, has_more: false, last_id: '' };
  }

  matches(job) {
    const { type, model, q, from, to } = this.filters;
    const text = JSON.stringify(Object.values(job.input)).toLowerCase();
    return (!type || job.type === type) && (!model || job.model === model)
      && q.toLowerCase().split(/\s+/).every((word) => text.includes(word))
      && (!from || job.created_at >= day(from)) && (!to || job.created_at < day(to, 1));
  }

  // A job that has just ended comes first.
  add(job) {
    const { tiles: before } = this.store.value;
    if (job.status !== 'completed' || !this.matches(job) || before.some((x) => x.job.id === job.id)) return;
    this.store.update({ tiles: [...tiles(job).filter((x) => this.shows(x)), ...before] });
  }

  drop(ids) {
    const gone = new Set(ids);
    this.store.update({ tiles: this.store.value.tiles.filter((x) => !gone.has(x.job.id)) });
  }
}
