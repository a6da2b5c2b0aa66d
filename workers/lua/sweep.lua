-- What time has ended: results past their time to live, records past theirs, jobs past their
-- deadline in a queue that nobody reads, and bytes that nothing refers to.
-- ARGV: most to take at once, seconds that bytes and records outlive an expired upload.
-- Returns hashes to delete from the store; drop each from atelier:deleting when it is gone.
local most, orphan_ttl, record_ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at = now()

for _, entry in ipairs(redis.call('ZRANGE', 'atelier:expiry', '-inf', at, 'BYSCORE',
  'LIMIT', 0, most)) do
  redis.call('ZREM', 'atelier:expiry', entry)
  local owner, sha = entry:match('^upload/(.+)/(%x+)$')
  if owner then
    redis.call('HDEL', artifact_key(sha), 'upload:' .. owner)
    drop_reference(sha, owner, at, orphan_ttl, record_ttl)
  else
    local record = record_of(entry)
    if record.swept then erase(entry, record, at)
    elseif record.owner then
      drop_outputs(record, at)
      redis.call('HSET', job_key(entry), 'swept', 1)
      if record.outputs then redis.call('HSET', job_key(entry), 'expired', 1) end
      if record.status == 'finished' then place(entry, record, 'expired') end
      redis.call('ZADD', 'atelier:expiry', at + tonumber(record.keep_record), entry)
    end
  end
end

for _, list in ipairs(redis.call('SMEMBERS', 'rq:queues')) do
  for _, job in ipairs(redis.call('LRANGE', list, 0, most)) do
    local record = record_of(job)
    if not record.deadline or tonumber(record.deadline) > at then break end
    redis.call('LREM', list, 1, job)
    finish(job, record, 'failed', { 'error',
      failure('deadline_exceeded', 'the job was not finished before its deadline') }, at)
  end
end

local doomed = redis.call('ZRANGE', 'atelier:deleting', '-inf', at - 60, 'BYSCORE')
for _, sha in ipairs(redis.call('ZRANGE', 'atelier:orphans', '-inf', at, 'BYSCORE',
  'LIMIT', 0, most)) do
  redis.call('ZREM', 'atelier:orphans', sha)
  if tonumber(redis.call('HGET', artifact_key(sha), 'refs') or 0) <= 0 then
    doomed[#doomed + 1] = sha
  end
end
for _, sha in ipairs(doomed) do redis.call('ZADD', 'atelier:deleting', at, sha) end
return doomed
