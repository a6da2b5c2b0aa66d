-- Ask workers to load or unload a model. An order stands until its worker's lease says how it ended.
-- ARGV: the checkpoint's sha256, 'load' or 'unload', a token that no other order has, then workers.
local sha, order = ARGV[1], ARGV[2] .. '/' .. ARGV[3]
for i = 4, #ARGV do
  redis.call('HSET', orders_key(ARGV[i]), sha, order)
  redis.call('EXPIRE', orders_key(ARGV[i]), 3600)
end
redis.call('PUBLISH', 'atelier:work', sha)
