-- Ask for a job's end. A waiting job ends here; a running one at its worker's next look.
-- ARGV: owner, job. Returns 'missing', 'ended', 'canceled' or 'canceling'.
local owner, job = ARGV[1], ARGV[2]
local record = record_of(job)
if record.owner ~= owner then return 'missing' end

if record.status == 'queued' then
  dequeue(record.origin, owner, job)
  finish(job, record, 'canceled', {}, now())
  return 'canceled'
end
if record.status ~= 'started' then return 'ended' end
if not record.cancel_requested then
  redis.call('HSET', job_key(job), 'cancel_requested', stamp(now()))
  place(job, record, 'canceling')
  emit(job, 'status', cjson.encode({ job_id = job, status = 'canceling' }))
  redis.call('PUBLISH', 'atelier:work', record.origin)
end
return 'canceling'
