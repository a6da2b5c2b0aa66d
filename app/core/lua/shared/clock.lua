-- The service's clock: seconds since the epoch when it began, and then the time that was watched.
--
-- The server's clock (TIME) can be set back or forward while jobs run, and its uptime and the
-- expiry of its keys follow it. So leases, deadlines and all that is kept for a time rest on this
-- clock instead. Workers and the API watch it: each notes TIME every second or two.
--
-- 1. Between two notes the clock goes on with TIME, by `longest` at most. Where TIME has gone on by
--    more, or back, it was set, or nobody was there: then the clock goes on by `longest`.
-- 2. An absence is noted by whoever comes first after it. `calendar` counts it: results expire
--    while the service is off. `now` does not: no lease runs out and no deadline passes then.
-- 3. What a client or RQ reads as a date is TIME itself (`wall`).
local CLOCK = 'atelier:clock'

local function wall()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1e6
end

local function stamp(seconds) return string.format('%.6f', seconds) end

-- The service's clock, and how far TIME is from the last note of it.
local function now()
  local at, seen = wall(), redis.call('HMGET', CLOCK, 'service', 'wall', 'longest')
  local service, noted, longest = tonumber(seen[1] or ''), tonumber(seen[2] or ''),
    tonumber(seen[3] or '')
  if not (service and noted and longest) then return at, nil end
  local passed = at - noted
  if passed < 0 or passed > longest then return service + longest, passed end
  return service + passed, passed
end

-- The service's clock with the absences in it.
local function calendar()
  return now() + tonumber(redis.call('HGET', CLOCK, 'absent') or 0)
end

-- Note TIME. `longest` is the most that may pass between two notes; `arrived` is whether the
-- caller notes for the first time, so that it can't have seen TIME being set.
local function keep_time(longest, arrived)
  local at, passed = now()
  if passed and passed >= 0 and passed < 1 and passed <= longest then return end
  if passed and passed > longest and arrived then
    redis.call('HINCRBYFLOAT', CLOCK, 'absent', stamp(passed - longest))
  end
  redis.call('HSET', CLOCK, 'service', stamp(at), 'wall', stamp(wall()), 'longest', longest)
end
