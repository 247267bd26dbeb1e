-- Writes a batch of changes, all or none. Arguments and replies: see commit.rs.
local key, kinds = KEYS[1], ARGV[2]
local generation, writer, sequence, life, options, fingerprint =
    string.match(ARGV[1], '^(%S+) (%S+) (%d+) (%d+) (%S+) ?(%S*)$')
local creates = string.find(options, 'c', 1, true)
local repeated = string.find(options, 'm', 1, true)
local width = {s = 2, d = 1, i = 2, n = 2, N = 1, r = 3, R = 2, h = 3, H = 2}

-- One look at everything that decides, in parts because unpack has a limit.
local fields, at = {'@g', '@v', '@w', '@d'}, 3
for i = 1, #kinds do
    local kind = string.sub(kinds, i, i)
    if kind ~= 's' and kind ~= 'd' then
        fields[#fields + 1] = ARGV[at]
    end
    at = at + width[kind]
end
local found = {}
for from = 1, #fields, 64 do
    local part = redis.call('HMGET', key, unpack(fields, from, math.min(from + 63, #fields)))
    for i = 1, #part do
        found[from + i - 1] = part[i]
    end
end

-- Is it the session that is meant?
local version, deadline = 0, nil
if found[1] == generation then
    creates = nil
    version = tonumber(found[2])
    deadline = found[4] and tonumber(found[4])
    if not version or (found[4] and not deadline) then
        return -1
    end
elseif found[1] then
    return creates and -1 or 0
elseif redis.call('EXISTS', key) == 1 then
    return redis.call('HEXISTS', key, '@t') == 1 and 0 or -1
elseif not creates then
    return 0
end

-- Was it written before? Numbers are compared as text, because a Lua number does not hold all of them.
local entries, label, stamp = found[3] or '', ' ' .. writer .. ':', nil
local first, last = string.find(entries, label, 1, true)
if first then
    local written, stamped, past = string.match(entries, '^(%d+):(%d+)()', last + 1)
    if written then
        if #written > #sequence or (#written == #sequence and written >= sequence) then
            local reply, place = {2, redis.call('PTTL', key)}, 4
            for i = 1, #kinds do
                local kind = string.sub(kinds, i, i)
                if kind ~= 's' and kind ~= 'd' then
                    place = place + 1
                    if kind == 'i' then
                        reply[#reply + 1] = found[place]
                    end
                end
            end
            if repeated then
                redis.call('HSET', key, '@m', '')
            end
            return reply
        end
        stamp = stamped
        entries = string.sub(entries, 1, first - 1) .. string.sub(entries, past)
    end
end

-- The time is asked for only where it matters. Entries of writers that are gone are forgotten on that occasion.
local now
if creates or deadline or not stamp or string.find(options, 't', 1, true) then
    local time = redis.call('TIME')
    now, stamp = time[1] * 1000 + math.floor(time[2] / 1000), time[1]
    entries = string.gsub(entries, ' [^ ]+:(%d+)', function(other)
        if stamp - other > 720 then
            return ''
        end
    end)
end
if creates then
    local from_now, at_time = string.match(options, 'a(%d+)'), string.match(options, 'd(%d+)')
    deadline = from_now and now + from_now or tonumber(at_time)
end
life = tonumber(life)
if deadline then
    life = math.min(life, deadline - now)
    if life <= 0 then
        return 0
    end
end

-- A counter as two signed halves of nine digits: Lua numbers alone are not exact up to eighteen.
local function halves(text)
    if text == '0' then
        return 0, 0
    end
    local sign, digits = string.match(text, '^(%-?)([1-9]%d*)$')
    if not digits or #digits > 18 then
        return nil
    end
    local unit = sign == '' and 1 or -1
    return unit * (tonumber(string.sub(digits, 1, -10)) or 0), unit * tonumber(string.sub(digits, -9))
end

local function sum(one, other)
    local high, low = halves(one)
    local more_high, more_low = halves(other)
    if not high or not more_high then
        return nil
    end
    high, low = high + more_high, low + more_low
    if low >= 1e9 or (high < 0 and low > 0) then
        high, low = high + 1, low - 1e9
    elseif low <= -1e9 or (high > 0 and low < 0) then
        high, low = high - 1, low + 1e9
    end
    if high >= 1e9 or high <= -1e9 then
        return nil
    elseif high == 0 then
        return string.format('%.0f', low)
    end
    return string.format('%.0f%09.0f', high, math.abs(low))
end

-- What is to be written, and what speaks against it.
local sets = {'@v', string.format('%.0f', version + 1), '@w', entries .. label .. sequence .. ':' .. stamp}
local removes, counters, conflicts, refused = {}, {}, {3}, {4}
local function set(name, value)
    sets[#sets + 1] = name
    sets[#sets + 1] = value
end
if creates then
    set('@g', generation)
    set('@f', fingerprint)
    set('@c', string.match(options, 'c(%d+)') or string.format('%.0f', now))
    if deadline then
        set('@d', string.format('%.0f', deadline))
    end
end
if repeated then
    set('@m', '')
end
local idle = string.match(options, 'i(%d+)')
if idle then
    set('@i', idle)
elseif string.find(options, 'x', 1, true) then
    removes[1] = '@i'
end
local place = 4
at = 3
for i = 1, #kinds do
    local kind, name = string.sub(kinds, i, i), ARGV[at]
    if kind == 's' then
        set(name, ARGV[at + 1])
    elseif kind == 'd' then
        removes[#removes + 1] = name
    else
        place = place + 1
        local current = found[place]
        if kind == 'i' then
            local total = sum(current or '0', ARGV[at + 1])
            if total then
                counters[#counters + 1] = total
                set(name, total)
            else
                refused[#refused + 1] = i - 1
                refused[#refused + 1] = current
            end
        else
            local how, same = string.lower(kind), nil
            if how == 'n' then
                same = not current
            elseif how == 'r' then
                same = current == ARGV[at + 1]
            else
                same = current and redis.sha1hex(current) == ARGV[at + 1]
            end
            if not same then
                conflicts[#conflicts + 1] = i - 1
                conflicts[#conflicts + 1] = current
            elseif kind == how then
                set(name, ARGV[at + width[kind] - 1])
            else
                removes[#removes + 1] = name
            end
        end
    end
    at = at + width[kind]
end
if #conflicts > 1 then
    return conflicts
elseif #refused > 1 then
    return refused
end

-- Setting comes first: it is what a server without memory refuses, and it does so only before the first write.
for from = 1, #sets, 128 do
    redis.call('HSET', key, unpack(sets, from, math.min(from + 127, #sets)))
end
for from = 1, #removes, 128 do
    redis.call('HDEL', key, unpack(removes, from, math.min(from + 127, #removes)))
end
redis.call('PEXPIRE', key, string.format('%.0f', life))

local reply = {1, version, life}
for i = 1, #counters do
    reply[i + 3] = counters[i]
end
return reply
