-- Files of the store that nothing knows of: they are offered for deletion like any orphan.
-- ARGV: hashes of files that are too old to be about to be noted. Returns how many are unknown.
local at, unknown = now(), 0
for _, sha in ipairs(ARGV) do
  local known = redis.call('EXISTS', artifact_key(sha)) == 1
    or redis.call('ZSCORE', 'atelier:orphans', sha) or redis.call('ZSCORE', 'atelier:deleting', sha)
  if not known then
    redis.call('ZADD', 'atelier:orphans', at, sha)
    unknown = unknown + 1
  end
end
return unknown
