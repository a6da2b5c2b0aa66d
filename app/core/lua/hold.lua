-- Announce bytes that are about to be stored, so that the sweep leaves them alone until then.
-- ARGV: seconds, hashes. Returns 1, or 0 while one of them is just being deleted: ask again.
local at, keep = now(), tonumber(ARGV[1])
for i = 2, #ARGV do
  local since = redis.call('ZSCORE', 'atelier:deleting', ARGV[i])
  if since and tonumber(since) > at - 60 then return 0 end -- longer, and its deleter is dead
end
for i = 2, #ARGV do
  redis.call('ZREM', 'atelier:deleting', ARGV[i])
  redis.call('ZADD', 'atelier:orphans', 'GT', at + keep, ARGV[i])
end
return 1
