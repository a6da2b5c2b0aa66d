-- Keys that hold what no script has written there: an operator's mistake, or a damaged disk.
--
-- 1. A key of another type than a command needs is set aside as `atelier:unreadable:<key>`, for an
--    operator to look at. The command then finds no key there.
-- 2. A count that is not a number starts anew.
-- 3. Both are reported in `atelier:reports`, which a worker logs.
local server = redis
local KEPT_ASIDE = 30 * 86400 -- seconds

local function write(command, key, ...)
  local reply = server.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    server.call('DEL', key)
    server.call(command, key, ...)
  end
end

local function report(key, reason)
  write('HINCRBY', 'atelier:counters', 'unreadable', 1)
  write('RPUSH', 'atelier:reports', cjson.encode({ key = key, reason = reason }))
  write('LTRIM', 'atelier:reports', -1000, -1)
end

-- RQ's list of a queue anew, from what stands beside it (`waiting`), in the order of the tickets.
local function rebuild_list(list)
  local queue, jobs = list:match('^rq:queue:(.+)$'), {}
  if not queue then return end
  local owners = server.pcall('ZRANGE', 'atelier:owners:' .. queue, 0, -1)
  for _, owner in ipairs(owners) do
    local key = 'atelier:waiting:' .. queue .. '/' .. owner
    local flat = server.pcall('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #flat, 2 do jobs[#jobs + 1] = { flat[i], tonumber(flat[i + 1]) } end
  end
  table.sort(jobs, function(a, b) return a[2] < b[2] end)
  for _, job in ipairs(jobs) do server.call('RPUSH', list, job[1]) end
end

local function set_aside(key)
  local aside = 'atelier:unreadable:' .. key
  server.call('RENAME', key, aside)
  server.call('EXPIRE', aside, KEPT_ASIDE)
  report(key, 'it has another type than it should')
  rebuild_list(key)
end

-- The count of references to an artifact, from those of its owners. A count that can't be read
-- stands for one, so that no bytes are deleted for it.
local function count_references(key)
  local flat, refs = server.call('HGETALL', key), 0
  for i = 1, #flat, 2 do
    if flat[i]:find('^owner:') then refs = refs + (tonumber(flat[i + 1]) or 1) end
  end
  server.call('HSET', key, 'refs', refs)
  return refs
end

local function restart_count(command, key, field)
  if command == 'INCR' then set_aside(key)
  elseif field == 'refs' then count_references(key)
  else server.call('HDEL', key, field) end
  if command ~= 'INCR' then report(key, field .. ' is not a number') end
end

local COUNTS = { INCR = true, HINCRBY = true, HINCRBYFLOAT = true }
local function call(...)
  local reply, command, key, field = server.pcall(...), ...
  local problem = type(reply) == 'table' and reply.err
  if not problem then return reply end
  if problem:find('WRONGTYPE') then set_aside(key)
  elseif COUNTS[command] and problem:find('not a') then restart_count(command, key, field) end
  return server.call(...)
end
local redis = setmetatable({ call = call }, { __index = server })

-- A JSON array or object, or an empty one where the text is neither.
local function decoded(text)
  local fine, value = pcall(cjson.decode, text)
  return fine and type(value) == 'table' and value or {}
end
