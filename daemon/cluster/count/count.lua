-- SPDX-License-Identifier: AGPL-3.0-only
-- Decides a batch of questions about counters that several MTAs share, and stores this MTA's part.
--
-- KEYS  the epoch; the hash of each counter, one field for each MTA
-- ARGV  this MTA's field; the epoch it knows; numbers, packed as doubles; for each counter the pairs
--       of this MTA's part, oldest first: last arrival and units, as doubles
-- Numbers, for each counter: use of this MTA's part, limit, period in ms; for each question: how
-- many counters it has, and for each: its index, how much must be free, how much to count.
--
-- A field is the sum of its pairs' units and then the pairs. Its MTA writes the pairs with each
-- call; what is allowed here is one more pair until then.
--
-- Returns the time in ms; for each question -1, or the position of the first counter that does not
-- allow it, or -2 if one of them is not a counter; for each counter what the other MTAs use, or
-- -1 if it is not a counter; and those that did not allow something, with all of their fields. If
-- the epoch is another: that alone, and nothing is done.
--
-- The time of a call is mostly that of new strings and of redis.call, so there are few of both.

local epoch = redis.call('GET', KEYS[1]) or ''
if epoch ~= ARGV[2] then return {epoch} end
local call, unpack_bytes, pack_bytes, floor = redis.pcall, struct.unpack, struct.pack, math.floor
local clock = call('TIME')
local now = clock[1] * 1000 + floor(clock[2] / 1000)
local node = ARGV[1]
local count = #KEYS - 1
local numbers = {unpack_bytes('<' .. string.rep('d', #ARGV[3] / 8), ARGV[3])}
local last = #numbers - 1 -- the one after it is where unpack ended
local most = 2 ^ 53

-- The use of a field, at least whose oldest pair has left.
local function use_of(field, total, since)
  local size = #field
  if unpack_bytes('<d', field, size - 15) <= since then return 0 end
  for at = 9, size, 16 do
    local arrival, units = unpack_bytes('<dd', field, at)
    if arrival > since then break end
    total = total - units
  end
  return total
end

local others, before, granted, fields, full, verdicts = {}, {}, {}, {}, {}, {}

local function load(counter)
  local flat = call('HGETALL', KEYS[counter + 1])
  fields[counter], granted[counter] = flat, 0
  if flat.err then
    others[counter] = -1
    return
  end
  local since = now - numbers[3 * counter]
  local sum = 0
  for i = 1, #flat, 2 do
    local field = flat[i + 1]
    if flat[i] == node then
      before[counter] = field
    elseif #field >= 24 and #field % 16 == 8 then
      local total, arrival = unpack_bytes('<dd', field)
      if arrival <= since then total = use_of(field, total, since) end
      if total > 0 and total <= most then sum = sum + total end -- neither for NaN
    end
  end
  others[counter] = sum < most and sum or most
end

local at = 3 * count + 1
while at <= last do
  local first, stop = at + 1, at + 3 * numbers[at]
  local verdict = -1
  for i = first, stop, 3 do
    local counter = numbers[i]
    if not others[counter] then load(counter) end
    if others[counter] < 0 then
      verdict = -2
    elseif numbers[3 * counter - 2] + granted[counter] + others[counter] + numbers[i + 1] >
      numbers[3 * counter - 1] then
      full[counter] = true
      if verdict == -1 then verdict = (i - first) / 3 end
    end
  end
  if verdict == -1 then
    for i = first, stop, 3 do
      local counter = numbers[i]
      granted[counter] = granted[counter] + numbers[i + 2]
    end
  end
  verdicts[#verdicts + 1] = verdict
  at = stop + 1
end

local refused = {}
for counter = 1, count do
  local others_use = others[counter]
  if not others_use or others_use >= 0 then
    local pairs, more, old, field = ARGV[3 + counter], granted[counter], before[counter], nil
    if more and more > 0 then
      field = pack_bytes('<dc0dd', numbers[3 * counter - 2] + more, pairs, now, more)
    elseif pairs ~= '' then
      field = pack_bytes('<dc0', numbers[3 * counter - 2], pairs)
    end
    local key, reply = KEYS[counter + 1], nil
    if field and field ~= old then
      reply = call('HSET', key, node, field)
      -- It expires between one and two periods after its last change, and an hour: set by the first
      -- change of this MTA in each period.
      local period = numbers[3 * counter]
      if not old or #old < 24 or
        floor(unpack_bytes('<d', old, #old - 15) / period) ~= floor(now / period) then
        call('PEXPIRE', key, string.format('%.0f', 2 * period + 3600000))
      end
    elseif not field and (old or not others_use) then
      reply = call('HDEL', key, node)
    end
    if type(reply) == 'table' then
      if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then return reply end
      others_use = -1
    end
  end
  others[counter] = others_use or 0
  if full[counter] then
    refused[#refused + 1] = counter
    refused[#refused + 1] = fields[counter]
  end
end

return {now, verdicts, others, refused}
