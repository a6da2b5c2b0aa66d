-- A worker's look at the queue: what became of its jobs, and what it should start next.
-- ARGV: worker, token, room in rows, affinity wait, RQ's timestamp,
--       shares as JSON: of this room and by queue, the most rows of one owner (`most`), and what is
--       left of that to owners with jobs in flight (`left`),
--       number of jobs in flight, then each as job, execution,
--       then each queue it could read as: queue, 'ready' or 'unloaded', room in rows.
-- Returns {verdicts as job, word}, {claims as job, execution, record as JSON}, queues to load for,
--         1 if several owners are about, else 0, orders to load and unload as checkpoint, order.
local worker, token = ARGV[1], ARGV[2]
local affinity, rq_time, shares = tonumber(ARGV[4]), ARGV[5], cjson.decode(ARGV[6])
local count, at = tonumber(ARGV[7]), now()
local all = { room = tonumber(ARGV[3]), most = shares.most, left = shares.left or {} }
local verdicts, claims, wanted, known = {}, {}, {}, {}

-- 1. Is each still mine, wanted, and in time?
for i = 8, 7 + 2 * count, 2 do
  local job, execution = ARGV[i], ARGV[i + 1]
  known[job] = true
  local seen = redis.call('HMGET', job_key(job), 'execution', 'cancel_requested', 'deadline',
    'followed')
  local word
  if seen[1] ~= execution then word = 'lost'
  elseif seen[2] then word = 'cancel'
  elseif not tonumber(seen[3] or '') then record_of(job); word = 'lost' -- it can't be read
  elseif tonumber(seen[3]) < at then word = 'deadline'
  elseif (tonumber(seen[4] or '') or 0) > at then word = 'followed' end
  if word then verdicts[#verdicts + 1] = { job, word } end
end

-- 2. A job noted as mine that I don't know: the answer of its claim was lost on the way.
local lost = {}
for _, job in ipairs(redis.call('SMEMBERS', inflight_key(worker))) do
  if not known[job] then lost[#lost + 1] = job end
end
for _, job in ipairs(newest_first(lost)) do
  local record = record_of(job)
  if record.status == 'started' and record.worker_name == worker then put_back(job, record, at)
  else redis.call('SREM', inflight_key(worker), job) end
end

-- 3. Claim: owners take turns, and a model that isn't loaded gives the loaded ones a head start.
--    While other owners are about, no owner takes more than its share of the room.
local shared = redis.call('ZCOUNT', 'atelier:posted', at - 3600, '+inf') > 1
local queues = {}
for i = 8 + 2 * count, #ARGV, 3 do
  local limits = (shares.queues or {})[ARGV[i]] or {}
  queues[#queues + 1] = { name = ARGV[i], ready = ARGV[i + 1] == 'ready',
    room = tonumber(ARGV[i + 2]), most = limits.most, left = limits.left or {} }
end

-- How many rows this owner may still take of some room.
local function left_to(limits, owner) return limits.left[owner] or limits.most or math.huge end

local function take_rows(limits, owner, rows)
  limits.room = limits.room - rows
  limits.left[owner] = left_to(limits, owner) - rows
end

local function head_of(queue)
  return next_of(queue.name, function(owner)
    return not shared or (left_to(all, owner) > 0 and left_to(queue, owner) > 0)
  end)
end

-- The inputs that are still there, for a job that had let go of them.
local function take_inputs_again(job, record)
  local there = {}
  for _, sha in ipairs(decoded(record.inputs)) do
    if references(sha) > 0 or redis.call('ZSCORE', 'atelier:orphans', sha) then
      refer(sha, record.owner)
      there[#there + 1] = sha
    end
  end
  redis.call('HSET', job_key(job), 'inputs', cjson.encode(there))
end

-- Start a job. Returns its rows; none where it can't be read, or RQ's list has it no more.
local function start(job, owner, queue)
  local record, execution = record_of(job), token .. '-' .. (#claims + 1)
  if not dequeue(queue.name, owner, job) or record.status ~= 'queued' then return 0 end
  take_turn(queue.name, owner)
  if record.ended then -- an operator's `rq requeue`: what it ended in no longer holds
    drop_outputs(record, at)
    drop_sound(job, record, at)
    if record.inputs then take_inputs_again(job, record) end
    redis.call('HDEL', job_key(job), 'ended', 'expires', 'expired', 'swept', 'outputs',
      'error', 'cancel_requested', 'alone', 'deaths', 'deaths_alone')
    redis.call('HSET', job_key(job), 'deadline',
      stamp(at + tonumber(record.keep_deadline)))
    redis.call('ZREM', 'atelier:expiry', job)
    redis.call('ZREM', 'atelier:logs', job)
    redis.call('PERSIST', events_key(job))
  end
  redis.call('HSETNX', job_key(job), 'started', stamp(wall()))
  redis.call('HSETNX', job_key(job), 'waited', stamp(at - tonumber(record.arrived)))
  redis.call('HSET', job_key(job), 'status', 'started', 'execution', execution,
    'worker_name', worker, 'started_at', rq_time, 'last_heartbeat', rq_time, 'progress', '0/0',
    'told', 0)
  local attempt = redis.call('HINCRBY', job_key(job), 'attempt', 1)
  local both = job .. ':' .. execution
  redis.call('HSET', 'rq:execution:' .. both, 'id', execution, 'job_id', job,
    'created_at', stamp(wall()), 'last_heartbeat', stamp(wall()), 'worker_name', worker)
  -- Far away: who is dead is for the lease and the reaper to say, never for a registry's cleaning.
  redis.call('ZADD', 'rq:wip:' .. queue.name, 4102444800, both)
  redis.call('ZADD', 'rq:executions:' .. job, 4102444800, execution)
  redis.call('SADD', 'rq:worker:' .. worker .. ':executions', both)
  redis.call('SADD', inflight_key(worker), job)
  redis.call('ZADD', 'atelier:workers', 'NX', 0, worker) -- whoever holds a job is known to the reaper
  place(job, record, 'in_progress')
  emit(job, 'status',
    cjson.encode({ job_id = job, status = 'in_progress', attempt = attempt }))
  local told = { attempt = tostring(attempt) } -- one string is read faster than fifty
  for _, field in ipairs({ 'sha256', 'input', 'input_sha256', 'input_long', 'items', 'seed', 'origin', 'owner', 'alone',
    'model' }) do
    told[field] = record[field]
  end
  if record.streamed then -- whoever posted it reads along, until their mark says so
    record.followed = stamp(at + 15)
    redis.call('HSET', job_key(job), 'followed', record.followed)
  end
  if tonumber(record.followed or 0) > at then told.followed = '1' end
  for field, text in pairs(record) do
    if field:find('^draft:') then told[field] = text end -- what readers have of it already
  end
  claims[#claims + 1] = { job, execution, cjson.encode(told) }
  return tonumber(record.items) * tonumber(record.rows or 1)
end

-- Whether the first of two comes before the second: by the owners' turns, then by the queues', then
-- by age. Jobs whose model isn't loaded count as younger.
local function before(one, other)
  if not other then return true end
  if one.turn ~= other.turn then return one.turn < other.turn end
  if one.owner == other.owner and one.turn_here ~= other.turn_here then
    return one.turn_here < other.turn_here
  end
  return one.age < other.age
end

local function best_head()
  local best
  for _, queue in ipairs(queues) do
    local head = queue.room > 0 and head_of(queue)
    if head then
      head.queue, head.age = queue, head.arrived + (queue.ready and 0 or affinity)
      local due = queue.ready or head.age <= at or #queues == 1 or count + #claims == 0
      if due and before(head, best) then best = head end
    end
  end
  return best
end

if redis.call('EXISTS', 'rq:suspended') == 1 then all.room = 0 end
while all.room > 0 do
  local best = best_head()
  if not best then break end
  local queue, owner = best.queue, best.owner
  if not queue.ready then
    wanted[#wanted + 1] = queue.name
    queue.room = 0
  elseif best.alone then -- it was in flight at two deaths: nobody runs beside it
    if count + #claims > 0 then break end
    start(best.job, owner, queue)
    break
  else
    local rows = start(best.job, owner, queue)
    take_rows(all, owner, rows)
    take_rows(queue, owner, rows)
  end
end
return { verdicts, claims, wanted, shared and 1 or 0, redis.call('HGETALL', orders_key(worker)) }
