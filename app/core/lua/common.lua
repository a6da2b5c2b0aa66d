-- Words that every script shares: each script is the files of `shared`, this text, and its own.
--
-- One script is one transition of a job, atomic and on the service's clock. All of them keep RQ's
-- own records true (rq:job, rq:queue, rq:wip, rq:finished, rq:failed, rq:canceled, executions), so
-- that `rq info`, its registries and dashboards show what is so.

-- A text is kept in pages, by the letters before what is on it, so that a long one is not written
-- anew with every word.
local PAGE = 1000
local function draft_field(index, offset)
  return string.format('draft:%d:%06d', index, math.floor(offset / PAGE))
end

-- A log is cut from its old end: to about so many events, and to half of so many bytes of data
-- once it has more. The newest event stays, however long it is.
local EVENTS, EVENT_BYTES = 200, 65536
local function cut_log(job)
  local entries, bytes, first = redis.call('XREVRANGE', events_key(job), '+', '-'), 0, nil
  for _, entry in ipairs(entries) do
    local size = #entry[2][2] + #entry[2][4]
    if first and bytes + size > EVENT_BYTES / 2 then break end
    bytes, first = bytes + size, entry[1]
  end
  redis.call('XTRIM', events_key(job), 'MINID', first)
  redis.call('HSET', job_key(job), 'event_bytes', bytes)
end

-- Append to the job's event log, and ring for those who follow it.
local function emit(job, event, data)
  redis.call('XADD', events_key(job), 'MAXLEN', '~', EVENTS, '*', 'event', event, 'data', data)
  local bytes = redis.call('HINCRBY', job_key(job), 'event_bytes', #event + #data)
  if bytes > EVENT_BYTES then cut_log(job) end
  redis.call('PUBLISH', 'atelier:wake', job)
end

-- Move the job to its owner's list of this type and public status.
local function place(job, record, status)
  local list = 'atelier:jobs:' .. record.owner .. ':' .. record.type .. ':'
  if record.indexed then redis.call('ZREM', list .. record.indexed, job) end
  redis.call('ZADD', list .. status, 0, job)
  redis.call('HSET', job_key(job), 'indexed', status)
  record.indexed = status
end

-- Forget the job's running execution, in our records and RQ's.
local function leave(job, record)
  local execution, worker = record.execution, record.worker_name
  if not execution or execution == '' or not worker then return end
  local both = job .. ':' .. execution
  redis.call('DEL', 'rq:execution:' .. both, 'rq:executions:' .. job)
  redis.call('ZREM', 'rq:wip:' .. record.origin, both)
  redis.call('SREM', 'rq:worker:' .. worker .. ':executions', both)
  redis.call('SREM', inflight_key(worker), job)
end

-- How many jobs and uploads refer to these bytes.
local function references(sha)
  local key = artifact_key(sha)
  return tonumber(redis.call('HGET', key, 'refs') or 0) or count_references(key)
end

-- One reference less to these bytes; with the last one gone they may be swept.
local function drop_reference(sha, owner, at, orphan_ttl, record_ttl)
  local key = artifact_key(sha)
  references(sha) -- before the owners' counts change, in case it can't be read
  if redis.call('HINCRBY', key, 'owner:' .. owner, -1) <= 0 then
    redis.call('HDEL', key, 'owner:' .. owner)
    redis.call('HSET', key, 'was:' .. owner, 1)
  end
  if redis.call('HINCRBY', key, 'refs', -1) <= 0 then
    redis.call('ZADD', 'atelier:orphans', 'GT', at + orphan_ttl, sha)
    redis.call('EXPIRE', key, math.ceil(orphan_ttl + record_ttl) + 60)
  end
end

-- One more, to bytes that are noted already.
local function refer(sha, owner)
  local key = artifact_key(sha)
  references(sha)
  redis.call('HINCRBY', key, 'owner:' .. owner, 1)
  redis.call('HINCRBY', key, 'refs', 1)
  redis.call('HDEL', key, 'was:' .. owner)
  redis.call('PERSIST', key)
  redis.call('ZREM', 'atelier:orphans', sha)
end

local function add_reference(sha, owner, content_type, bytes)
  redis.call('HSET', artifact_key(sha), 'content_type', content_type, 'bytes', bytes)
  refer(sha, owner)
end

-- A file refers to its thumbnails until its own bytes are deleted. `THUMBNAILS` owns them: no key's
-- name begins with a bar.
local THUMBNAILS = '/thumbnails'
local function drop_thumbnails(sha, at)
  for _, entry in ipairs(redis.call('HVALS', thumbnails_key(sha))) do
    local thumbnail = entry:match('^%x+')
    if thumbnail then drop_reference(thumbnail, THUMBNAILS, at, 0, 3600) end
  end
  redis.call('DEL', thumbnails_key(sha))
end

-- A job refers to its inputs from its acceptance to its end: exactly while it has not `ended`.
local function drop_inputs(record, at)
  if record.ended or not record.inputs then return end
  for _, sha in ipairs(decoded(record.inputs)) do
    if type(sha) == 'string' then
      drop_reference(sha, record.owner, at,
        tonumber(record.keep_orphans), tonumber(record.keep_record))
    end
  end
end

local REGISTRY = { finished = 'rq:finished:', failed = 'rq:failed:', canceled = 'rq:canceled:' }
local PUBLIC = { finished = 'completed', failed = 'failed', canceled = 'canceled' }

-- What was written of a text is of no use once its job has ended: outputs have what is whole.
local function drop_drafts(job, record)
  for field in pairs(record) do
    if field:find('^draft:') then redis.call('HDEL', job_key(job), field) end
  end
end

-- What nobody needs once a job has ended, and those who follow it have had time to read its end.
-- An event log takes 4 KB, however short it is.
local LOG_TTL = 60 -- seconds
local function shrink(job)
  local newest = redis.call('XREVRANGE', events_key(job), '+', '-', 'COUNT', 1)
  if newest[1] then redis.call('HSET', job_key(job), 'last_event', newest[1][1]) end
  redis.call('DEL', events_key(job))
  redis.call('HDEL', job_key(job), 'event_bytes', 'told')
end

-- One more job that ended in this minute, for whoever asks how much is done; kept for an hour.
local function count_end(outcome)
  if outcome == 'canceled' then return end
  local key = minute_key(math.floor(wall() / 60) * 60)
  redis.call('HINCRBY', key, PUBLIC[outcome], 1)
  redis.call('EXPIRE', key, 3700)
end

-- The one way a job ends. `outcome` is RQ's word: finished, failed or canceled.
local function finish(job, record, outcome, fields, at)
  local result_ttl, record_ttl = tonumber(record.keep_result), tonumber(record.keep_record)
  local ended = wall()
  local forgotten = math.floor(ended + result_ttl + record_ttl) -- a record without them changes nothing
  leave(job, record)
  drop_inputs(record, at)
  drop_drafts(job, record)
  redis.call('HSET', job_key(job), 'status', outcome, 'ended', stamp(ended),
    'expires', stamp(ended + result_ttl), unpack(fields))
  redis.call('ZADD', REGISTRY[outcome] .. record.origin, forgotten, job)
  redis.call('ZADD', 'atelier:expiry', calendar() + result_ttl, job)
  place(job, record, PUBLIC[outcome])
  emit(job, PUBLIC[outcome], cjson.encode({ job_id = job, status = PUBLIC[outcome] }))
  redis.call('HINCRBY', job_key(job), 'ends', 1)
  redis.call('ZADD', 'atelier:logs', at + LOG_TTL, job)
  note_pace(record.origin, at)
  count_end(outcome)
end

local function failure(code, message)
  return cjson.encode({ message = message, type = 'server_error', code = code })
end

-- Back to the front of its queue: it stays in progress for those who look, and starts again.
local function put_back(job, record, at)
  if record.cancel_requested then
    finish(job, record, 'canceled', {}, at)
    return
  end
  if record.deadline and tonumber(record.deadline) < at then
    finish(job, record, 'failed', { 'error',
      failure('deadline_exceeded', 'the job was not finished before its deadline') }, at)
    return
  end
  leave(job, record)
  redis.call('HSET', job_key(job), 'status', 'queued', 'execution', '')
  enqueue_first(record.origin, record.owner, job, record.ticket)
  redis.call('PUBLISH', 'atelier:work', record.origin)
end

-- Jobs sorted so that putting each back at the front in turn restores their order.
local function newest_first(jobs)
  local tickets = {}
  for _, job in ipairs(jobs) do
    tickets[job] = tonumber(redis.call('HGET', job_key(job), 'ticket') or '') or 0
  end
  table.sort(jobs, function(a, b)
    if tickets[a] ~= tickets[b] then return tickets[a] > tickets[b] end
    return a > b
  end)
  return jobs
end

local function drop_outputs(record, at)
  if record.expired or not record.outputs then return end
  for _, output in ipairs(decoded(record.outputs)) do
    if type(output) == 'table' and type(output.sha256) == 'string' then
      drop_reference(output.sha256, record.owner, at,
        tonumber(record.keep_orphans), tonumber(record.keep_record))
    end
  end
end

-- The long fields of its input are kept as long as its results.
local function drop_long_input(job, record, at)
  if not record.input_sha256 then return end
  drop_reference(record.input_sha256, record.owner, at,
    tonumber(record.keep_orphans), tonumber(record.keep_record))
  redis.call('HDEL', job_key(job), 'input_sha256', 'input_bytes')
end

-- What could be heard of the job while it ran: its chunks by item, and what they are like.
local function drop_sound(job, record, at)
  local flat = redis.call('HGETALL', sound_key(job))
  for i = 1, #flat, 2 do
    if flat[i]:find('/%d+$') then
      drop_reference(flat[i + 1], record.owner, at,
        tonumber(record.keep_orphans), tonumber(record.keep_record))
    end
  end
  redis.call('DEL', sound_key(job))
end

-- No trace of the job is left, but its last event, for a minute, for those who follow it.
local function erase(job, record, at)
  leave(job, record)
  drop_inputs(record, at)
  drop_outputs(record, at)
  drop_long_input(job, record, at)
  drop_sound(job, record, at)
  if record.status == 'queued' then dequeue(record.origin, record.owner, job) end
  for _, registry in pairs(REGISTRY) do redis.call('ZREM', registry .. record.origin, job) end
  redis.call('ZREM', 'atelier:expiry', job)
  redis.call('ZREM', 'atelier:logs', job)
  local list = 'atelier:jobs:' .. record.owner
  redis.call('ZREM', list, job)
  redis.call('ZREM', list .. ':' .. record.type .. ':' .. (record.indexed or ''), job)
  redis.call('DEL', job_key(job))
  redis.call('EXPIRE', events_key(job), 60)
end

