-- Note one more request that waits for an answer to the same body, under a token.
-- A retry gets the token that the fewest wait on, that of a client who has left if there is one,
-- and of those the newest: a retry comes soon, and an older one may have been given up.
-- A request that may be a retry gets only the token of a client who has left.
-- ARGV: note, a fresh token that sorts by time, '1' if it is a retry and '?' if it may be one, seconds to keep the
-- note. Returns the token.
local note, token, retry, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if retry ~= '0' then
  local waiting, fewest = redis.call('HGETALL', note), nil
  for i = 1, #waiting, 2 do
    local count = tonumber(waiting[i + 1])
    local newer = count == fewest and waiting[i] > token
    local allowed = retry == '1' or count == 0
    if allowed and (not fewest or count < fewest or newer) then token, fewest = waiting[i], count end
  end
end
redis.call('HINCRBY', note, token, 1)
redis.call('EXPIRE', note, keep)
return token
