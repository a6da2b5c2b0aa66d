-- Delete a job, running or not, and its hold on its artifacts.
-- ARGV: owner, job. Returns 1, or 0 where there is no such job of this owner.
local owner, job = ARGV[1], ARGV[2]
local record, at = record_of(job), now()
if record.owner ~= owner then return 0 end
if record.status == 'queued' or record.status == 'started' then
  emit(job, 'canceled', cjson.encode({ job_id = job, status = 'canceled' }))
end
erase(job, record, at)
redis.call('PUBLISH', 'atelier:wake', job)
redis.call('PUBLISH', 'atelier:work', record.origin)
return 1
