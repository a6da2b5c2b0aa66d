-- The workers that are alive. Returns worker, facts as JSON, orders as JSON by checkpoint, and so on.
local live = {}
for _, worker in ipairs(redis.call('ZRANGE', 'atelier:workers', '(' .. stamp(now()), '+inf',
  'BYSCORE')) do
  local facts = redis.call('GET', lease_key(worker))
  if facts then
    live[#live + 1] = worker
    live[#live + 1] = facts
    local orders, flat = {}, redis.call('HGETALL', orders_key(worker))
    for i = 1, #flat, 2 do orders[flat[i]] = flat[i + 1]:match('^%a+') or '' end
    live[#live + 1] = cjson.encode(orders)
  end
end
return live
