-- The jobs that wait for a model, in the order in which they will start: owners take turns.
--
-- RQ's list of a queue has every waiting job, as they came, and is the truth. Beside it stands, for
-- each queue, who waits and which of its jobs comes next. A job that has left RQ's list (an operator
-- took it out) does not start; one that only RQ's list has (`rq requeue`) joins when it is the first.
--
-- The turn goes to the owner who was served longest ago, whatever its model, and of one owner's
-- models to the one that was. So who has one job waits for one job of every other owner at most.
local TURNS = 'atelier:turns' -- hash: the number of the last claim of each owner

local function list_key(queue) return 'rq:queue:' .. queue end
local function waiting_key(queue, owner) return 'atelier:waiting:' .. queue .. '/' .. owner end
local function owners_key(queue) return 'atelier:owners:' .. queue end -- sorted by their turns

local function turn_of(owner) return tonumber(redis.call('HGET', TURNS, owner) or '') or 0 end

-- The last claim of this owner from this queue.
local function turn_in(queue, owner)
  return tonumber(redis.call('HGET', TURNS .. ':' .. queue, owner) or '') or 0
end

local function take_turn(queue, owner)
  local turn, here = redis.call('INCR', 'atelier:turn'), TURNS .. ':' .. queue
  redis.call('HSET', TURNS, owner, turn)
  redis.call('HSET', here, owner, turn)
  redis.call('EXPIRE', here, 3600)
end

local function note_waiting(queue, owner, job, ticket)
  redis.call('ZADD', waiting_key(queue, owner), ticket, job)
  redis.call('ZADD', owners_key(queue), 'NX', turn_of(owner), owner)
end

local function forget_waiting(queue, owner, job)
  local key = waiting_key(queue, owner)
  redis.call('ZREM', key, job)
  if redis.call('EXISTS', key) == 0 then redis.call('ZREM', owners_key(queue), owner) end
end

local function enqueue(queue, owner, job, ticket)
  redis.call('SADD', 'rq:queues', list_key(queue))
  redis.call('RPUSH', list_key(queue), job)
  note_waiting(queue, owner, job, ticket)
end

-- Before all that came later: it keeps its ticket.
local function enqueue_first(queue, owner, job, ticket)
  redis.call('LPUSH', list_key(queue), job)
  note_waiting(queue, owner, job, ticket)
end

-- Take a job out of its queue. Returns whether RQ's list had it.
local function dequeue(queue, owner, job)
  forget_waiting(queue, owner, job)
  return redis.call('LREM', list_key(queue), 1, job) == 1
end

-- How many jobs of its queue will start before this one, if nobody comes: as many of each other
-- owner as of its own, and one more of those whose turn comes first. No list is scanned.
local function position_of(queue, owner, job)
  local mine = waiting_key(queue, owner)
  local before = redis.call('ZRANK', mine, job)
  if not before then return -1 end
  local rank, turn, count = before, turn_of(owner), before
  local head = tonumber(redis.call('ZRANGE', mine, 0, 0, 'WITHSCORES')[2])
  for _, other in ipairs(redis.call('ZRANGE', owners_key(queue), 0, -1)) do
    if other ~= owner then
      local theirs, other_turn = waiting_key(queue, other), turn_of(other)
      local ticket = tonumber(redis.call('ZRANGE', theirs, 0, 0, 'WITHSCORES')[2] or math.huge)
      local first = other_turn < turn or (other_turn == turn and ticket < head)
      count = count + math.min(redis.call('ZCARD', theirs), rank + (first and 1 or 0))
    end
  end
  return count
end
