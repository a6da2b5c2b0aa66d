-- Tell how far a job is, if this execution still owns it.
-- ARGV: job, execution, steps done, steps, then events as name, data. Returns 1, or 0 if lost.
local job, execution = ARGV[1], ARGV[2]
if redis.call('HGET', job_key(job), 'execution') ~= execution then return 0 end
redis.call('HSET', job_key(job), 'progress', ARGV[3] .. '/' .. ARGV[4])
for i = 5, #ARGV, 2 do emit(job, ARGV[i], ARGV[i + 1]) end
return 1
