-- Accept a job: its record, its idempotency and its place in the queue, all or nothing.
-- ARGV: suffix, owner, type, queue, idempotency key or '', request hash, queue limit, deadline,
--       hashes of its inputs as JSON or '', seconds to keep the idempotency key,
--       then the record's fields and values.
-- Returns {'new', job, created, position} | {'replay', job} | {'reuse'} | {'full', seconds} | {'memory'} |
--         {'gone', hash of an input that is not this owner's, or not any more}.
local suffix, owner, kind, queue, idem, request = unpack(ARGV, 1, 6)
local limit, deadline = tonumber(ARGV[7]), tonumber(ARGV[8])
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

local waiting = redis.call('LLEN', list_key(queue))
if waiting >= limit then
  local interval = redis.call('HGET', 'atelier:pace:' .. queue, 'interval')
  local wait = math.ceil(tonumber(interval or '') or 10)
  return { 'full', math.max(1, math.min(wait, 300)) }
end

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
  unpack(ARGV, 11))
if ARGV[9] ~= '' then redis.call('HSET', job_key(job), 'inputs', ARGV[9]) end
for _, sha in ipairs(inputs) do refer(sha, owner) end
local long = redis.call('HMGET', job_key(job), 'input_sha256', 'input_bytes')
if long[1] then add_reference(long[1], owner, 'application/json', long[2]) end
enqueue(queue, owner, job, ticket)
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
