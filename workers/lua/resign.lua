-- A worker ends in good order. What it still holds is left to the reaper, which knows it by name.
-- ARGV: worker.
redis.call('DEL', lease_key(ARGV[1]), orders_key(ARGV[1]))
if redis.call('SCARD', inflight_key(ARGV[1])) == 0 then
  redis.call('ZREM', 'atelier:workers', ARGV[1])
end
