-- Accept a job: its record, its idempotency and its place in the queue, all or nothing.
-- ARGV: suffix, owner, type, queue, idempotency key or '', request hash, queue limit, deadline,
--       hashes of its inputs as JSON or '', seconds to keep the idempotency key,
--       limit of this owner's jobs in the queue, a hash that tells this request from others,
--       then the record's fields and values.
-- Returns {'new', job, created, position} | {'replay', job} | {'reuse'} | {'full', seconds} | {'memory'} |
--         {'quota', seconds} |
--         {'gone', hash of an input that is not this owner's, or not any more}.
local suffix, owner, kind, queue, idem, request = unpack(ARGV, 1, 6)
local limit, deadline = tonumber(ARGV[7]), tonumber(ARGV[8])
local own_limit, caller = tonumber(ARGV[11]), ARGV[12]
local inputs = ARGV[9] ~= '' and cjson.decode(ARGV[9]) or {}
local at = now()

if idem ~= '' then
  local seen = redis.call('HMGET', idem, 'job', 'request')
  if seen[1] and redis.call('EXISTS', job_key(seen[1])) == 1 then
    if seen[2] ~= request then return { 'reuse' } end
    return { 'replay', seen[1] }
  end
end

-- A server that is nearly full keeps the rest for what has been accepted.
local memory = redis.call('INFO', 'memory')
local used, most = memory:match('used_memory:(%d+)'), memory:match('maxmemory:(%d+)')
if tonumber(most or 0) > 0 and tonumber(used or 0) > 0.9 * tonumber(most) then
  return { 'memory' }
end

local waiting, pace = redis.call('LLEN', list_key(queue)), seconds_a_place(queue, at)
local own_line, own_entry = line_key(queue, owner), nil
if own_limit < limit then
  local own = redis.call('ZCARD', waiting_key(queue, owner))
  local turns = math.max(1, redis.call('ZCARD', owners_key(queue)))
  local seconds
  seconds, own_entry = wait_for_place(own_line, caller, own, own_limit, pace and pace * turns, at)
  if seconds then return { 'quota', seconds } end
end
local seconds, entry = wait_for_place(line_key(queue), caller, waiting, limit, pace, at)
if seconds then return { 'full', seconds } end

for _, sha in ipairs(inputs) do
  local held = redis.call('HGET', artifact_key(sha), 'owner:' .. owner)
  if (tonumber(held or '') or 0) < 1 then return { 'gone', sha } end
end

-- A ULID: ids sort by the service's clock, so the lists need no other order.
local BASE32 = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
local ms, time = math.floor(at * 1000), ''
for _ = 1, 10 do
  local digit = ms % 32
  time = BASE32:sub(digit + 1, digit + 1) .. time
  ms = (ms - digit) / 32
end
local job = 'job_' .. time .. suffix

local created, ticket = stamp(wall()), redis.call('INCR', 'atelier:tickets:' .. queue)
redis.call('HSET', job_key(job), 'status', 'queued', 'origin', queue, 'owner', owner, 'type', kind,
  'attempt', 0, 'created', created, 'arrived', stamp(at), 'deadline', stamp(at + deadline),
  'keep_deadline', deadline, 'ticket', ticket,
  unpack(ARGV, 13))
if ARGV[9] ~= '' then redis.call('HSET', job_key(job), 'inputs', ARGV[9]) end
for _, sha in ipairs(inputs) do refer(sha, owner) end
local long = redis.call('HMGET', job_key(job), 'input_sha256', 'input_bytes')
if long[1] then add_reference(long[1], owner, 'application/json', long[2]) end
enqueue(queue, owner, job, ticket)
if own_entry then redis.call('ZREM', own_line, own_entry) end
if entry then redis.call('ZREM', line_key(queue), entry) end
redis.call('ZADD', 'atelier:jobs:' .. owner, 0, job)
place(job, { owner = owner, type = kind }, 'queued')
emit(job, 'status', cjson.encode({ job_id = job, status = 'queued' }))
if idem ~= '' then
  redis.call('HSET', idem, 'job', job, 'request', request)
  redis.call('EXPIRE', idem, ARGV[10])
end
redis.call('ZADD', 'atelier:posted', at, owner)
redis.call('PUBLISH', 'atelier:work', queue)
return { 'new', job, created, position_of(queue, owner, job) }
