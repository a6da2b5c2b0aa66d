// Which of a job's files stand for its items.
const ROLES = ['video', 'audio', 'animation', 'picture', 'text', 'score', 'sheet', 'vectors'];

const rank = (output) => ROLES.indexOf(output.role);

// One file of each item, the main one, in order. A sheet of all comes last.
export function mainOutputs(job) {
  const main = new Map();
  for (const output of job.outputs) {
    const before = main.get(output.index);
    if (ROLES.includes(output.role) && (!before || rank(output) < rank(before))) main.set(output.index, output);
  }
  return [...main.values()].sort((a, b) => a.index - b.index);
}
