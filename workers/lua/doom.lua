-- Delete bytes that nothing refers to, one at a time, so that nobody stores them meanwhile. Their
-- thumbnails go with them.
-- ARGV: hash, then 'begin', 'done' or 'failed'. 'begin' returns 1 where they may be deleted.
local sha, word, at = ARGV[1], ARGV[2], now()
if word == 'begin' then
  local due = redis.call('ZSCORE', 'atelier:orphans', sha)
  if not due or tonumber(due) > at then return 0 end -- held again, or another's business
  redis.call('ZREM', 'atelier:orphans', sha)
  if references(sha) > 0 then return 0 end
  redis.call('ZADD', 'atelier:deleting', at, sha)
  drop_thumbnails(sha, at)
  return 1
end
redis.call('ZREM', 'atelier:deleting', sha)
if word == 'failed' then redis.call('ZADD', 'atelier:orphans', 'GT', at + 60, sha) end
return 0
