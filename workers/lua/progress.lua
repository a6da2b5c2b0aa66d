-- Tell how far a job is, if this execution still owns it and it has not ended.
-- ARGV: job, execution, number of this word, steps done, steps, then events as name, data.
-- Words are numbered, so that one that is said again is heard once. Returns 1, or 0 if not heard.

-- Text that readers were told is kept, for those who come later and for a next execution.
local function note_delta(job, delta)
  local field = draft_field(delta.index, delta.offset)
  local before = redis.call('HGET', job_key(job), field) or ''
  redis.call('HSET', job_key(job), field, before .. delta.text)
end

local job, execution, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local seen = redis.call('HMGET', job_key(job), 'execution', 'status', 'told')
if seen[1] ~= execution or seen[2] ~= 'started' then return 0 end
if (tonumber(seen[3] or '') or 0) >= number then return 0 end
redis.call('HSET', job_key(job), 'progress', ARGV[4] .. '/' .. ARGV[5], 'told', number)
for i = 6, #ARGV, 2 do
  if ARGV[i] == 'delta' then note_delta(job, cjson.decode(ARGV[i + 1])) end
  emit(job, ARGV[i], ARGV[i + 1])
end
return 1
