-- Note an uploaded file as its owner's for a time; posted again, the time starts anew.
-- ARGV: owner, sha256, content type, bytes, seconds.
local owner, sha, content_type, bytes, ttl = unpack(ARGV)
if redis.call('HSETNX', artifact_key(sha), 'upload:' .. owner, 1) == 1 then
  add_reference(sha, owner, content_type, bytes)
end
redis.call('ZADD', 'atelier:expiry', calendar() + tonumber(ttl), 'upload/' .. owner .. '/' .. sha)
