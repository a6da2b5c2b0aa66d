-- Give back what workers without a lease held. Returns {worker, job, fate} for each.
-- A job in flight at two deaths runs alone next; after two deaths while alone it has failed.
local at, fates = now(), {}

local function charge(job, record)
  if record.alone then
    if redis.call('HINCRBY', job_key(job), 'deaths_alone', 1) >= 2 then
      finish(job, record, 'failed', { 'error',
        failure('worker_lost', 'the worker died twice while it ran this job alone') }, at)
      return 'failed'
    end
  elseif redis.call('HINCRBY', job_key(job), 'deaths', 1) >= 2 then
    redis.call('HSET', job_key(job), 'alone', 1)
  end
  put_back(job, record, at)
  return 'put back'
end

local function lives(worker)
  return tonumber(redis.call('ZSCORE', 'atelier:workers', worker)) > at
    and redis.call('EXISTS', lease_key(worker)) == 1
end

for _, worker in ipairs(redis.call('ZRANGE', 'atelier:workers', 0, -1)) do
  if not lives(worker) then
    for _, job in ipairs(newest_first(redis.call('SMEMBERS', inflight_key(worker)))) do
      local record = record_of(job)
      if record.status == 'started' and record.worker_name == worker then
        fates[#fates + 1] = { worker, job, charge(job, record) }
      end
    end
    redis.call('DEL', inflight_key(worker), lease_key(worker), orders_key(worker))
    redis.call('ZREM', 'atelier:workers', worker)
    local key = 'rq:worker:' .. worker
    for queue in (redis.call('HGET', key, 'queues') or ''):gmatch('[^,]+') do
      redis.call('SREM', 'rq:workers:' .. queue, key)
    end
    redis.call('SREM', 'rq:workers', key)
    redis.call('DEL', key, key .. ':executions')
  end
end
return fates
