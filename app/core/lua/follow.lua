-- Note that someone follows a job: its worker renders previews until this runs out.
-- ARGV: job, seconds. Returns 1, or 0 where the job has ended or is gone.
local job, at = ARGV[1], now()
local seen = redis.call('HMGET', job_key(job), 'status', 'followed', 'origin')
if seen[1] ~= 'queued' and seen[1] ~= 'started' then return 0 end
redis.call('HSET', job_key(job), 'followed', stamp(at + tonumber(ARGV[2])))
local news = (tonumber(seen[2] or '') or 0) < at
if news and seen[1] == 'started' then redis.call('PUBLISH', 'atelier:work', seen[3]) end
return 1
