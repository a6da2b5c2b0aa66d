-- How many jobs ended in each of the last sixty minutes, of which the last is not over yet.
-- Returns the last minute's beginning in seconds since 1970, then completed and failed of each.
local minute = math.floor(wall() / 60) * 60
local counts = { minute }
for start = minute - 59 * 60, minute, 60 do
  local seen = redis.call('HMGET', minute_key(start), 'completed', 'failed')
  counts[#counts + 1] = tonumber(seen[1] or '') or 0
  counts[#counts + 1] = tonumber(seen[2] or '') or 0
end
return counts
