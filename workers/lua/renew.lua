-- A sign of life: the worker's lease, and what it holds.
-- ARGV: worker, facts as JSON, seconds, longest time between two notes of the clock,
--       '1' if this is the worker's first.
keep_time(tonumber(ARGV[4]), ARGV[5] == '1')
redis.call('SET', lease_key(ARGV[1]), ARGV[2])
redis.call('ZADD', 'atelier:workers', stamp(now() + tonumber(ARGV[3])), ARGV[1])
