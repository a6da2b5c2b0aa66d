-- Note a chunk of an item's sound, if this execution still owns the job, and ring for who listens.
-- ARGV: job, execution, index, number, '1' if it is the last, hash, bytes, rate, channels.
-- The same chunk again, of an earlier execution or a lost answer, changes nothing; another in its
-- place, by a model that does not repeat itself, takes it. Returns 1, or 0 if not heard.
local job, execution, index, number, last, sha, bytes, rate, channels = unpack(ARGV)
local record = record_of(job)
if record.execution ~= execution or record.status ~= 'started' then return 0 end
local key, field = sound_key(job), index .. '/' .. number
local before = redis.call('HGET', key, field)
if before ~= sha then
  add_reference(sha, record.owner, 'application/octet-stream', bytes)
  if before then
    drop_reference(before, record.owner, now(),
      tonumber(record.keep_orphans), tonumber(record.keep_record))
  end
end
redis.call('HSET', key, field, sha, index .. '/form', rate .. '/' .. channels)
if last == '1' then redis.call('HSET', key, index .. '/chunks', number + 1) end
redis.call('PUBLISH', 'atelier:wake', job)
return 1
