-- Note the time, so that the service's clock goes on.
-- ARGV: longest time between two notes, '1' if this process notes for the first time.
keep_time(tonumber(ARGV[1]), ARGV[2] == '1')
