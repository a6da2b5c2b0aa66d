-- Whether a job is still this execution's, and neither canceled nor past its deadline.
-- ARGV: job, execution. Returns 1 or 0.
local seen = redis.call('HMGET', job_key(ARGV[1]), 'execution', 'cancel_requested', 'deadline')
local deadline = tonumber(seen[3] or '') or math.huge -- `tick` ends a job whose own can't be read
if seen[1] ~= ARGV[2] or seen[2] or deadline < now() then return 0 end
return 1
