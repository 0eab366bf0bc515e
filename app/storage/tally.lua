-- One call for all questions that wait at the same time, so none of them sees half of what another does.
--
-- A question: { window, limit, take, name, mark, value }, any of the texts empty.
--   name, mark   is a value that begins with this mark remembered under this name? Then nothing is taken.
--   name, value  else remember the value under this name for a day, unless the window is full
--   window       a client's moving window: the times, in µs, of what it took in the last `span`, oldest first
--   take         1: take one, if there are fewer than `limit`; 0: look; -1: give the newest back
-- An answer: { value found or '', admitted, number in the window, µs until the oldest leaves it }

local questions, span, day = cmsgpack.unpack(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local taken, answers = {}, {}

local function trim(window)
  local oldest = redis.call('LINDEX', window, 0)
  while oldest and tonumber(oldest) <= now - span do
    redis.call('LPOP', window)
    oldest = redis.call('LINDEX', window, 0)
  end
  local newest = redis.call('LINDEX', window, -1)
  while newest and tonumber(newest) > now do -- the server's clock has stepped back
    redis.call('RPOP', window)
    newest = redis.call('LINDEX', window, -1)
  end
  taken[window] = redis.call('LLEN', window)
end

for i, question in ipairs(questions) do
  local window, limit, take, name, mark, value = unpack(question)
  local found, admitted = '', true
  if mark ~= '' then
    local stored = redis.call('GET', name)
    if stored and string.sub(stored, 1, #mark) == mark then
      found, take = stored, 0
    end
  end
  local count, left = 0, 0
  if window ~= '' then
    if not taken[window] then trim(window) end
    if take == 1 then
      admitted = taken[window] < limit
      if admitted then
        -- As text with every digit: as a number Lua would round it.
        taken[window] = redis.call('RPUSH', window, string.format('%.0f', now))
        redis.call('PEXPIRE', window, math.ceil(span / 1000))
      end
    elseif take == -1 and redis.call('RPOP', window) then
      taken[window] = taken[window] - 1
    end
    count = taken[window]
    local oldest = redis.call('LINDEX', window, 0)
    left = oldest and tonumber(oldest) + span - now or span
  end
  if value ~= '' and found == '' and admitted then
    redis.call('SET', name, value, 'EX', day)
  end
  answers[i] = { found, admitted, count, math.ceil(left) }
end
return cmsgpack.pack(answers)
