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

local others, before, granted, fields, verdicts, refused = {}, {}, {}, {}, {}, {}
local at = 3 * count + 1
while at <= last do
  local first, stop = at + 1, at + 3 * numbers[at]
  local verdict = -1
  for i = first, stop, 3 do
    local counter = numbers[i]
    local others_use = others[counter]
    if not others_use then
      local flat = call('HGETALL', KEYS[counter + 1])
      fields[counter], granted[counter], others_use = flat, 0, 0
      if flat.err then
        others_use = -1
      else
        local since = now - numbers[3 * counter]
        for f = 1, #flat, 2 do
          local field = flat[f + 1]
          local size = #field
          if flat[f] == node then
            before[counter] = field
          elseif size >= 24 and size % 16 == 8 then
            local use, arrival, units = unpack_bytes('<ddd', field)
            local pair = 25
            if arrival <= since and unpack_bytes('<d', field, size - 15) <= since then use = 0 end
            while use > 0 and arrival <= since do -- the oldest pairs have left
              use = use - units
              if pair > size then break end
              arrival, units = unpack_bytes('<dd', field, pair)
              pair = pair + 16
            end
            if use > 0 and use <= most then others_use = others_use + use end -- neither for NaN
          end
        end
        if others_use > most then others_use = most end
      end
      others[counter] = others_use
    end
    if others_use < 0 then
      verdict = -2
    elseif numbers[3 * counter - 2] + granted[counter] + others_use + numbers[i + 1] >
      numbers[3 * counter - 1] then
      if verdict == -1 then verdict = (i - first) / 3 end
      local flat = fields[counter]
      if flat then
        refused[#refused + 1], refused[#refused + 2], fields[counter] = counter, flat, nil
      end
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
end

return {now, verdicts, others, refused}
