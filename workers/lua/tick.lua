-- A worker's look at the queue: what became of its jobs, and what it should start next.
-- ARGV: worker, token, room in rows, affinity wait, RQ's timestamp,
--       number of jobs in flight, then each as job, execution,
--       then each queue it could read as: queue, 'ready' or 'unloaded', room in rows.
-- Returns {verdicts as job, word}, {claims as job, execution, record as JSON}, queues to load for.
local worker, token = ARGV[1], ARGV[2]
local room, affinity, rq_time = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local count, at = tonumber(ARGV[6]), now()
local verdicts, claims, wanted, known = {}, {}, {}, {}

-- 1. Is each still mine, wanted, and in time?
for i = 7, 6 + 2 * count, 2 do
  local job, execution = ARGV[i], ARGV[i + 1]
  known[job] = true
  local seen = redis.call('HMGET', job_key(job), 'execution', 'cancel_requested', 'deadline')
  local word
  if seen[1] ~= execution then word = 'lost'
  elseif seen[2] then word = 'cancel'
  elseif not tonumber(seen[3] or '') then record_of(job); word = 'lost' -- it can't be read
  elseif tonumber(seen[3]) < at then word = 'deadline' end
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

-- 3. Claim, oldest head first; a model that isn't loaded gives the loaded ones a head start.
local queues = {}
for i = 7 + 2 * count, #ARGV, 3 do
  queues[#queues + 1] =
    { name = ARGV[i], ready = ARGV[i + 1] == 'ready', room = tonumber(ARGV[i + 2]) }
end

local function head_of(queue)
  local list = 'rq:queue:' .. queue.name
  while true do
    local job = redis.call('LINDEX', list, 0)
    if not job then return nil end
    local seen = redis.call('HMGET', job_key(job), 'status', 'arrived', 'alone', 'ticket')
    local arrived = tonumber(seen[2] or '')
    if seen[1] == 'queued' and seen[4] and arrived then return job, arrived, seen[3] end
    record_of(job) -- one that can't be read ends here
    redis.call('LREM', list, 1, job) -- or its job has ended, is gone, or is none of ours
  end
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

local function start(job, queue)
  local record, execution = record_of(job), token .. '-' .. (#claims + 1)
  redis.call('LREM', 'rq:queue:' .. queue.name, 1, job)
  if record.status ~= 'queued' then return 0 end -- it can't be read
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
  for _, field in ipairs({ 'sha256', 'input', 'items', 'seed', 'origin', 'owner', 'alone',
    'model' }) do
    told[field] = record[field]
  end
  for field, text in pairs(record) do
    if field:find('^draft:') then told[field] = text end -- what readers have of it already
  end
  claims[#claims + 1] = { job, execution, cjson.encode(told) }
  return tonumber(record.items) * tonumber(record.rows or 1)
end

if redis.call('EXISTS', 'rq:suspended') == 1 then room = 0 end
while room > 0 do
  local best, best_job, best_age, best_alone
  for _, queue in ipairs(queues) do
    if queue.room > 0 then
      local job, arrived, alone = head_of(queue)
      local age = job and arrived + (queue.ready and 0 or affinity)
      if job and (queue.ready or age <= at or #queues == 1 or count + #claims == 0)
        and (not best or age < best_age) then
        best, best_job, best_age, best_alone = queue, job, age, alone
      end
    end
  end
  if not best then break end
  if not best.ready then
    wanted[#wanted + 1] = best.name
    best.room = 0
  elseif best_alone then -- it was in flight at two deaths: nobody runs beside it
    if count + #claims > 0 then break end
    start(best_job, best)
    break
  else
    local rows = start(best_job, best)
    room = room - rows
    best.room = best.room - rows
  end
end
return { verdicts, claims, wanted }
