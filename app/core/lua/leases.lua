-- The workers that are alive. Returns worker, facts as JSON, and so on.
local live = {}
for _, worker in ipairs(redis.call('ZRANGE', 'atelier:workers', '(' .. stamp(now()), '+inf',
  'BYSCORE')) do
  local facts = redis.call('GET', lease_key(worker))
  if facts then
    live[#live + 1] = worker
    live[#live + 1] = facts
  end
end
return live
