-- The names of keys.
local function job_key(job) return 'rq:job:' .. job end
local function events_key(job) return 'atelier:events:' .. job end
local function sound_key(job) return 'atelier:sound:' .. job end
local function artifact_key(sha) return 'atelier:artifact:' .. sha end
local function inflight_key(worker) return 'atelier:inflight:' .. worker end
local function minute_key(minute) return string.format('atelier:ended:%d', minute) end
local function orders_key(worker) return 'atelier:orders:' .. worker end
local function lease_key(worker) return 'atelier:lease:' .. worker end
local function thumbnails_key(sha) return 'atelier:thumbnails:' .. sha end
