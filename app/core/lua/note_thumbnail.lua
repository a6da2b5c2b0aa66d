-- Note a stored thumbnail of a file, if the file is still its owner's. The first of a width stays.
-- ARGV: owner, sha256 of the file, width, sha256 of the thumbnail, its bytes.
-- Returns 1, or 0 where the file is not this owner's, or not any more.
local owner, sha, width, thumbnail, bytes = unpack(ARGV)
if (tonumber(redis.call('HGET', artifact_key(sha), 'owner:' .. owner) or '') or 0) < 1 then
  return 0
end
local entry = thumbnail .. '/' .. bytes
if redis.call('HSETNX', thumbnails_key(sha), width, entry) == 1 then
  add_reference(thumbnail, THUMBNAILS, 'image/webp', bytes)
end
return 1
