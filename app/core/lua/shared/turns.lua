-- Whose turn it is in a queue: what `tick` asks. The order is told in `waiting`.

-- Drop what stands first in RQ's list and does not wait any more; let in what is not known yet.
local function tidy_first(queue)
  local list = list_key(queue)
  while true do
    local job = redis.call('LINDEX', list, 0)
    if not job then return false end
    local seen = redis.call('HMGET', job_key(job), 'status', 'owner', 'ticket')
    if seen[1] == 'queued' and seen[2] and is_count(seen[3] or '') then
      if not redis.call('ZSCORE', waiting_key(queue, seen[2]), job) then
        note_waiting(queue, seen[2], job, seen[3])
      end
      return true
    end
    record_of(job) -- one that can't be read ends here
    redis.call('LREM', list, 1, job) -- or its job has ended, is gone, or is none of ours
    if seen[2] then forget_waiting(queue, seen[2], job) end
  end
end

-- The first job of this owner that still waits, as {job, arrived, alone}; nil if there is none.
local function first_of(queue, owner)
  while true do
    local job = redis.call('ZRANGE', waiting_key(queue, owner), 0, 0)[1]
    if not job then
      redis.call('ZREM', owners_key(queue), owner)
      return nil
    end
    local seen = redis.call('HMGET', job_key(job), 'status', 'arrived', 'alone')
    local arrived = tonumber(seen[2] or '')
    if seen[1] == 'queued' and arrived then
      return { job = job, arrived = arrived, alone = seen[3] }
    end
    record_of(job)
    dequeue(queue, owner, job)
  end
end

-- The job of a queue whose turn it is, of those owners that `may` start one, with `owner`, `turn`
-- and `turn_here`; nil if there is none.
local function next_of(queue, may)
  if not tidy_first(queue) then return nil end
  local key, skip = owners_key(queue), 0
  while true do
    local owner, noted = unpack(redis.call('ZRANGE', key, skip, skip, 'WITHSCORES'))
    if not owner then return nil end
    local turn = turn_of(owner)
    if tonumber(noted) < turn then redis.call('ZADD', key, turn, owner) -- served elsewhere
    elseif not may(owner) then skip = skip + 1
    else
      local first = first_of(queue, owner)
      if first then
        first.owner, first.turn, first.turn_here = owner, turn, turn_in(queue, owner)
        return first
      end
    end
  end
end
