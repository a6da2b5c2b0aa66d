-- A sign of life: the worker's lease, and what it holds.
-- ARGV: worker, facts as JSON, seconds, longest time between two notes of the clock,
--       '1' if this is the worker's first, then orders that these facts show as carried out, as
--       checkpoint, order. One that was given since then stands.
keep_time(tonumber(ARGV[4]), ARGV[5] == '1')
redis.call('SET', lease_key(ARGV[1]), ARGV[2])
for i = 6, #ARGV, 2 do
  if redis.call('HGET', orders_key(ARGV[1]), ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', orders_key(ARGV[1]), ARGV[i])
  end
end
redis.call('ZADD', 'atelier:workers', stamp(now() + tonumber(ARGV[3])), ARGV[1])
