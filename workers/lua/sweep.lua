-- What time has ended: results past their time to live, records past theirs, jobs past their
-- deadline in a queue that nobody reads, and bytes that nothing refers to.
-- ARGV: most to take at once, seconds that bytes and records outlive an expired upload.
-- Returns hashes that may be deleted from the store: ask for each, by the script `doom`.
local most, orphan_ttl, record_ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at, today = now(), calendar()

for _, entry in ipairs(redis.call('ZRANGE', 'atelier:expiry', '-inf', today, 'BYSCORE',
  'LIMIT', 0, most)) do
  redis.call('ZREM', 'atelier:expiry', entry)
  local owner, sha = entry:match('^upload/(.+)/(%x+)$')
  if owner then
    redis.call('HDEL', artifact_key(sha), 'upload:' .. owner)
    drop_reference(sha, owner, at, orphan_ttl, record_ttl)
  else
    local record = record_of(entry)
    if record.swept and record.owner then erase(entry, record, at)
    elseif record.owner then
      drop_outputs(record, at)
      drop_long_input(entry, record, at)
      drop_sound(entry, record, at)
      redis.call('HSET', job_key(entry), 'swept', 1)
      if record.outputs then redis.call('HSET', job_key(entry), 'expired', 1) end
      if record.status == 'finished' then place(entry, record, 'expired') end
      redis.call('ZADD', 'atelier:expiry', today + tonumber(record.keep_record), entry)
    end
  end
end

-- Every job that ends has an entry here, so many more of them are taken at once.
for _, job in ipairs(redis.call('ZRANGE', 'atelier:logs', '-inf', at, 'BYSCORE',
  'LIMIT', 0, 20 * most)) do
  redis.call('ZREM', 'atelier:logs', job)
  if redis.call('HEXISTS', job_key(job), 'ended') == 1 then shrink(job) end
end

for _, list in ipairs(redis.call('SMEMBERS', 'rq:queues')) do -- rq:queue:<queue>
  for _, job in ipairs(redis.call('LRANGE', list, 0, most)) do
    local record = record_of(job)
    if record.status ~= 'queued' then
      if record.owner then forget_waiting(list:sub(10), record.owner, job) end
      if record.owner or not record.status then redis.call('LREM', list, 1, job) end
    elseif record.ended then -- an operator's `rq requeue`: its claim begins its time anew
    elseif not record.deadline or tonumber(record.deadline) > at then break
    else
      dequeue(list:sub(10), record.owner, job)
      finish(job, record, 'failed', { 'error',
        failure('deadline_exceeded', 'the job was not finished before its deadline') }, at)
    end
  end
end

-- A housekeeper that died in the middle of a deletion left its hash behind.
for _, sha in ipairs(redis.call('ZRANGE', 'atelier:deleting', '-inf', at - 60, 'BYSCORE')) do
  redis.call('ZREM', 'atelier:deleting', sha)
  redis.call('ZADD', 'atelier:orphans', 'GT', at, sha)
end
return redis.call('ZRANGE', 'atelier:orphans', '-inf', at, 'BYSCORE', 'LIMIT', 0, most)
