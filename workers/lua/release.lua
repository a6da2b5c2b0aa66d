-- A worker that stops puts what it could not finish back at the front, in order, uncharged.
-- ARGV: worker, then each job as job, execution.
local at, mine = now(), {}
for i = 2, #ARGV, 2 do
  if redis.call('HGET', job_key(ARGV[i]), 'execution') == ARGV[i + 1] then
    mine[#mine + 1] = ARGV[i]
  end
end
for _, job in ipairs(newest_first(mine)) do
  local record = record_of(job)
  if record.status == 'started' then put_back(job, record, at) end
end
