-- Tell how far a job is, if this execution still owns it and it has not ended.
-- ARGV: job, execution, number of this word, steps done, steps, then events as name, data.
-- Words are numbered, so that one that is said again is heard once. Returns 1, or 0 if not heard.
local job, execution, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local seen = redis.call('HMGET', job_key(job), 'execution', 'status', 'told')
if seen[1] ~= execution or seen[2] ~= 'started' or tonumber(seen[3]) >= number then return 0 end
redis.call('HSET', job_key(job), 'progress', ARGV[4] .. '/' .. ARGV[5], 'told', number)
for i = 6, #ARGV, 2 do emit(job, ARGV[i], ARGV[i + 1]) end
return 1
