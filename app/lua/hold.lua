-- Announce bytes that are about to be stored, so that the sweep leaves them alone until then.
-- ARGV: seconds, hashes. Returns 1, or 0 while one of them is just being deleted: ask again.
local at, keep = now(), tonumber(ARGV[1])
for i = 2, #ARGV do
  if redis.call('ZSCORE', 'atelier:deleting', ARGV[i]) then return 0 end
end
for i = 2, #ARGV do redis.call('ZADD', 'atelier:orphans', 'GT', at + keep, ARGV[i]) end
return 1
