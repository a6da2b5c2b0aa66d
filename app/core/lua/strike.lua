-- Strike a token out, and forget its idempotency key: nobody will ask for its job again.
-- ARGV: note, token, idempotency key, '1' to do so only if nobody waits on it.
-- Returns 1 where it was struck out.
local note, token, key, forsaken = unpack(ARGV)
if forsaken == '1' and redis.call('HGET', note, token) ~= '0' then return 0 end
redis.call('DEL', key)
return redis.call('HDEL', note, token)
