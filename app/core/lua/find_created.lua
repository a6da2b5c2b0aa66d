-- Find the first job that an owner created at some time or later, by halving the list of all.
--
-- Ids sort by the service's clock, which stands still while the service is off, so a date is no
-- part of an id. But jobs that follow each other in the list were created one after another.
-- ARGV: owner, seconds since the epoch. Returns a job, or nil where all are older.
local list, since = 'atelier:jobs:' .. ARGV[1], tonumber(ARGV[2])
local low, high = 0, redis.call('ZCARD', list)
while low < high do
  local middle = math.floor((low + high) / 2)
  local job = redis.call('ZRANGE', list, middle, middle)[1]
  local created = tonumber(redis.call('HGET', job_key(job), 'created') or '')
  if created and created >= since then high = middle else low = middle + 1 end
end
return redis.call('ZRANGE', list, low, low)[1]
