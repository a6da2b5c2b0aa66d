-- Read what a search of jobs looks at, of as many jobs as fit into an answer. At least one fits.
-- ARGV: bytes of an answer, then what to read: 'model' or 'texts', then jobs.
-- Returns JSON: a list of {model, input, outputs}, or of {model}, for the first of these jobs. It
-- is `false` for a field or a job that is not there.
local most, with_texts, rows, bytes = tonumber(ARGV[1]), ARGV[2] == 'texts', {}, 0
for i = 3, #ARGV do
  local row
  if with_texts then row = redis.call('HMGET', job_key(ARGV[i]), 'model', 'input', 'outputs')
  else row = redis.call('HMGET', job_key(ARGV[i]), 'model') end
  for _, text in ipairs(row) do bytes = bytes + (text and #text or 0) end
  if bytes > most and #rows > 0 then break end
  rows[#rows + 1] = row
end
return cjson.encode(rows)
