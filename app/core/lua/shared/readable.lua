-- Records that can't be read: a field is missing, or is not a number where one is needed.
--
-- A script that meets such a record gives the field a value that all scripts can use, ends the job
-- as failed if it has not ended, reports it, and goes on with the others.
local NUMBERS = { attempt = '0', items = '1', ticket = '0', seed = '0', keep_deadline = '3600',
  keep_result = '86400', keep_record = '604800', keep_orphans = '3600' }
local TIMES = { 'created', 'arrived', 'deadline' }
local TEXTS = { owner = '', type = 'image', origin = '', model = '', sha256 = '', input = '{}' }
local OPTIONAL = { 'started', 'waited', 'ended', 'expires', 'deaths', 'deaths_alone', 'told',
  'followed' }
local STATES = { queued = true, started = true, finished = true, failed = true, canceled = true,
  stopped = true }
local LISTED_ENDED = { completed = true, failed = true, canceled = true, expired = true }
local OURS = { 'owner', 'ticket', 'sha256', 'keep_record' } -- other hashes are none of our jobs

local function is_number(text)
  local number = text:find('^[%d%.eE%+%-]+$') and tonumber(text)
  return number and math.abs(number) < 1e16 or false
end

local function is_count(text) return is_number(text) and text:find('^%d+$') end

local function is_ours(record)
  for _, field in ipairs(OURS) do if record[field] then return true end end
  return false
end

-- Give unreadable fields a value. Returns what was wrong with the last of them, or nil.
local function mend(job, record, at)
  local wrong
  local function set(field, value, reason)
    wrong = field .. ' ' .. reason
    if value then redis.call('HSET', job_key(job), field, value)
    else redis.call('HDEL', job_key(job), field) end
    record[field] = value
  end
  for field, value in pairs(TEXTS) do
    if not record[field] then set(field, value, 'is missing') end
  end
  for field, value in pairs(NUMBERS) do
    if not record[field] then set(field, value, 'is missing')
    elseif not (field:find('^keep') and is_number or is_count)(record[field]) then
      set(field, value, 'is not a number')
    end
  end
  for _, field in ipairs(TIMES) do
    if not record[field] or not is_number(record[field]) then
      set(field, stamp(at), 'is not a time')
    end
  end
  for _, field in ipairs(OPTIONAL) do
    if record[field] and not is_number(record[field]) then set(field, nil, 'is not a number') end
  end
  if record.rows and not is_count(record.rows) then set('rows', nil, 'is not a number') end
  if LISTED_ENDED[record.indexed or ''] and not record.ended then
    set('ended', stamp(at), 'is missing') -- without it, inputs would be let go twice
  end
  if not STATES[record.status or ''] then
    wrong = 'status is missing or unknown'
    record.status = nil
  elseif record.status == 'started' and not record.worker_name then
    wrong = 'worker_name is missing'
  end
  return wrong
end

-- A hash as a table of its fields; of a job, one that every script can use.
local function record_of(job)
  local flat, record = redis.call('HGETALL', job_key(job)), {}
  for i = 1, #flat, 2 do record[flat[i]] = flat[i + 1] end
  if not is_ours(record) then return record end
  local at = now()
  local wrong = mend(job, record, at)
  if not wrong then return record end
  report(job_key(job), wrong)
  redis.call('HSET', job_key(job), 'unreadable', wrong)
  if record.status == nil or record.status == 'queued' or record.status == 'started' then
    dequeue(record.origin, record.owner, job)
    finish(job, record, 'failed', { 'error',
      failure('internal_error', "the job's record can't be read") }, at)
    record.status, record.ended = 'failed', stamp(at)
  end
  return record
end
