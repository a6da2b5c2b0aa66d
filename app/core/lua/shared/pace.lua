-- How fast places in a queue come free, and who was told when to come back.
--
-- 1. A queue's pace is the number of ends per second while jobs waited; older ones count less.
-- 2. A request that finds no place is noted in the queue's line and told when the place after all
--    those noted before it comes free.
-- 3. Places that come free about now are kept for those who were told so, and who comes back then is
--    known by its owner and body. Others get what is left.
-- 4. At most half of the places are kept, so that those who never come back leave no worker idle.
local PACE_SECONDS = 60 -- an end counts 1/e after so long
local UNKNOWN_PACE = 10 -- seconds a place, before anything has ended
local LATENESS = 5 -- seconds that a place is kept for who was told to come back
local LONGEST_WAIT = 3600

local function note_pace(queue, at)
  local key = 'atelier:pace:' .. queue
  local seen = redis.call('HMGET', key, 'last', 'ends', 'seconds')
  local last = tonumber(seen[1] or '')
  local ends, seconds = tonumber(seen[2] or '') or 0, tonumber(seen[3] or '') or 0
  if last then
    local gap = math.max(0, at - last)
    local weight = math.exp(-gap / PACE_SECONDS)
    ends, seconds = ends * weight + 1, seconds * weight + gap
  end
  local busy = redis.call('LLEN', list_key(queue)) > 0
  redis.call('HSET', key, 'last', busy and stamp(at) or '', 'ends', stamp(ends),
    'seconds', stamp(seconds))
  redis.call('EXPIRE', key, 3600)
end

-- Seconds from one place to the next; nil if nothing has ended yet. The time since the last end
-- counts as soon as it is longer than the others.
local function seconds_a_place(queue, at)
  local seen = redis.call('HMGET', 'atelier:pace:' .. queue, 'last', 'ends', 'seconds')
  local last, ends, seconds = tonumber(seen[1] or ''), tonumber(seen[2] or ''),
    tonumber(seen[3] or '')
  if not ends or not seconds or ends < 1 then return nil end
  local since = last and math.max(0, at - last) or 0
  return math.max(seconds / ends, (seconds + since) / (ends + 1))
end

local function line_key(queue, owner)
  return 'atelier:line:' .. queue .. (owner and '/' .. owner or '')
end

-- The entry of this caller, if it was told to come back about now.
local function entry_of(line, caller, at)
  for _, entry in ipairs(redis.call('ZRANGE', line, '-inf', at, 'BYSCORE', 'LIMIT', 0, 1000)) do
    if entry:sub(1, #caller + 1) == caller .. '/' then return entry end
  end
end

-- Whether this caller gets one of `limit` places, of which `waiting` are taken.
-- Returns nil where it does, with its entry in the line, if it has one; else seconds to wait.
local function wait_for_place(line, caller, waiting, limit, pace, at)
  redis.call('ZREMRANGEBYSCORE', line, '-inf', '(' .. stamp(at - LATENESS))
  local entry = entry_of(line, caller, at)
  local kept = 0
  if pace and not entry then
    kept = math.min(redis.call('ZCOUNT', line, '-inf', at + 2 * pace + 1), math.floor(limit / 2))
  end
  if waiting + kept < limit then return nil, entry end

  local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2]
  pace = pace or UNKNOWN_PACE
  local due = math.max(at, not entry and tonumber(last or '') or at) + pace
  local seconds = math.max(1, math.min(math.ceil(due - at), LONGEST_WAIT))
  if entry then redis.call('ZREM', line, entry) end
  if redis.call('ZCARD', line) < 1000 + 10 * limit then
    redis.call('ZADD', line, stamp(at + seconds), caller .. '/' .. stamp(at))
  end
  redis.call('EXPIRE', line, LONGEST_WAIT + 60)
  return seconds
end
