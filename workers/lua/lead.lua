-- Take a turn at burying the dead and sweeping, unless somebody's turn is not over yet.
-- ARGV: seconds that a turn lasts. Returns 1 where it was taken.
local at = now()
local over = tonumber(redis.call('GET', 'atelier:housekeeper') or '') or 0
if over > at then return 0 end
redis.call('SET', 'atelier:housekeeper', stamp(at + tonumber(ARGV[1])))
return 1
