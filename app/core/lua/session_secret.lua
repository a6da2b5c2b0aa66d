-- The secret that signs the cookies of sessions, which all API processes share.
-- ARGV: a fresh one, which counts where there is none yet. Returns the secret.
local key = 'atelier:session-secret'
local secret = redis.call('GET', key)
if secret and #secret == #ARGV[1] then return secret end
redis.call('SET', key, ARGV[1])
return ARGV[1]
