-- Remove a token, and forget its idempotency key: nobody will ask for its job again.
-- ARGV: note, token, idempotency key, '1' to do so only if nobody waits on it.
-- Returns 1 where it was removed.
local note, token, key, only_if_abandoned = unpack(ARGV)
if only_if_abandoned == '1' and redis.call('HGET', note, token) ~= '0' then return 0 end
redis.call('DEL', key)
return redis.call('HDEL', note, token)
