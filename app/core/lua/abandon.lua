-- A request waits no longer on its token; one that was removed meanwhile stays so.
-- ARGV: note, token.
if redis.call('HEXISTS', ARGV[1], ARGV[2]) == 0 then return 0 end
return redis.call('HINCRBY', ARGV[1], ARGV[2], -1)
