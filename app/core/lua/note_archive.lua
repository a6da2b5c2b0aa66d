-- Note which jobs an archive is of, for a time.
-- ARGV: owner, archive, its jobs as JSON, seconds to keep it, most archives of one owner.
-- Returns {0, the time of its end} or, where the owner has as many, {seconds until there is room}.
local owner, archive, jobs = unpack(ARGV, 1, 3)
local ttl, most, at = tonumber(ARGV[4]), tonumber(ARGV[5]), now()
local list = 'atelier:archives:' .. owner
redis.call('ZREMRANGEBYSCORE', list, '-inf', at)
if redis.call('ZCARD', list) >= most then
  local first = redis.call('ZRANGE', list, 0, 0, 'WITHSCORES')
  return { math.max(1, math.ceil(first[2] - at)) }
end
redis.call('SET', 'atelier:archive:' .. owner .. ':' .. archive, jobs, 'EX', ttl)
redis.call('ZADD', list, at + ttl, archive)
redis.call('EXPIRE', list, ttl + 60)
return { 0, stamp(wall() + ttl) }
