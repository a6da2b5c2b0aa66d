-- Commit the end of a job, if this execution still owns it, with its terminal event.
-- ARGV: job, execution, outcome (finished, failed, canceled), outputs, error, compute ms,
--       determinism, progress, RQ's timestamp, the service's version, then each artifact as hash,
--       content type, bytes.
-- Returns 'done', or 'lost' where the job is another's, or gone.
local job, execution, outcome, outputs, problem = unpack(ARGV, 1, 5)
local record, at = record_of(job), now()
if record.execution ~= execution then return 'lost' end
if record.status ~= 'started' then return 'done' end -- the answer to an earlier try was lost

if record.cancel_requested then outcome = 'canceled' end
local fields = { 'compute_ms', ARGV[6], 'determinism', ARGV[7], 'ended_at', ARGV[9],
  'version', ARGV[10] }
if outcome ~= 'canceled' then
  fields[#fields + 1] = 'progress'
  fields[#fields + 1] = ARGV[8]
  fields[#fields + 1] = 'outputs'
  fields[#fields + 1] = outputs
  for i = 11, #ARGV, 3 do add_reference(ARGV[i], record.owner, ARGV[i + 1], ARGV[i + 2]) end
end
if outcome == 'failed' then
  fields[#fields + 1] = 'error'
  fields[#fields + 1] = problem
  fields[#fields + 1] = 'exc_info' -- what RQ's own tools show of a failed job
  fields[#fields + 1] = problem
end
finish(job, record, outcome, fields, at)
redis.call('HINCRBY', 'rq:worker:' .. record.worker_name,
  outcome == 'failed' and 'failed_job_count' or 'successful_job_count', 1)
return 'done'
