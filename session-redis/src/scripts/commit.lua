-- Writes a batch of changes, all or none. Arguments and replies: see commit.rs.
local call, find, match, sub = redis.call, string.find, string.match, string.sub
local key, kinds = KEYS[1], ARGV[2]
local generation, writer, sequence, life, options, fingerprint =
    match(ARGV[1], '^([^ ]+) ([^ ]+) (%d+) (%d+) ?([^ ]*) ?([^ ]*)$')

-- Most commits have no options.
local creates, repeated, marks, renews_time, idle, removes_idle
if options ~= '' then
    creates = find(options, 'c', 1, true)
    repeated = find(options, 'm', 1, true)
    marks = creates and repeated
    renews_time = find(options, 't', 1, true)
    idle = match(options, 'i(%d+)')
    removes_idle = find(options, 'x', 1, true)
end

-- One look at everything that decides: the header, and the attributes whose change depends on what they hold.
local found, needs
local depends = find(kinds, '[^sd]')
if depends then
    needs = {s = 2, d = 1, i = 2, n = 2, N = 1, r = 3, R = 2, h = 3, H = 2}
    local fields, at = {'@g', '@v', '@w', '@d'}, 3
    for kind in string.gmatch(kinds, '.') do
        if kind ~= 's' and kind ~= 'd' then
            fields[#fields + 1] = ARGV[at]
        end
        at = at + needs[kind]
    end
    -- In parts, because unpack has a limit.
    found = call('HMGET', key, unpack(fields, 1, math.min(64, #fields)))
    for from = 65, #fields, 64 do
        local part = call('HMGET', key, unpack(fields, from, math.min(from + 63, #fields)))
        for i = 1, #part do
            found[from + i - 1] = part[i]
        end
    end
else
    found = call('HMGET', key, '@g', '@v', '@w', '@d')
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
elseif call('EXISTS', key) == 1 then
    return call('HEXISTS', key, '@t') == 1 and 0 or -1
elseif not creates then
    return 0
else
    -- A user who may write but not set an expiry would leave a session behind that never ends.
    for _, command in ipairs({{'PEXPIRE', key, '1'}, {'HDEL', key, '@i'}}) do
        if not redis.acl_check_cmd(unpack(command)) then
            return redis.error_reply('NOPERM ' .. command[1])
        end
    end
end

-- Numbers are compared as text, because a Lua number does not hold all of them.
local function reaches(number)
    return #number > #sequence or (#number == #sequence and number >= sequence)
end

-- Was it written before, or refused for good?
local entries, label = found[3] or '', ' ' .. writer .. ':'
local written, used_up, stamp = '', '', nil
local first, last = find(entries, label, 1, true)
if first then
    local newest, stamped, refused, past = match(entries, '^(%d*):(%d+):?(%d*)()', last + 1)
    if newest then
        if reaches(newest) then
            local reply, place = {2, call('PTTL', key)}, 4
            for kind in string.gmatch(kinds, '[^sd]') do
                place = place + 1
                if kind == 'i' then
                    reply[#reply + 1] = found[place]
                end
            end
            if marks then
                call('HSET', key, '@m', '')
            end
            return reply
        end
        written, used_up, stamp = newest, refused, stamped
        entries = sub(entries, 1, first - 1) .. sub(entries, past)
    end
end

-- The time is asked for only where it matters. Entries of writers that are gone are forgotten on that occasion.
local now
if creates or deadline or renews_time or not stamp then
    local time = call('TIME')
    now, stamp = time[1] * 1000 + math.floor(time[2] / 1000), time[1]
    entries = string.gsub(entries, ' [^: ]+:%d*:(%d+)[^ ]*', function(other)
        if stamp - other > 720 then
            return ''
        end
    end)
end
if creates then
    local from_now, at_time = match(options, 'a(%d+)'), match(options, 'd(%d+)')
    deadline = from_now and now + from_now or tonumber(at_time)
end
local remaining = tonumber(life)
if deadline and remaining > deadline - now then
    remaining = deadline - now
    if remaining <= 0 then
        return 0
    end
    life = string.format('%.0f', remaining)
end

-- What is to be written.
local sets = {'@v', string.format('%.0f', version + 1), '@w', entries .. label .. sequence .. ':' .. stamp}
local removes, counters = {}, {}
if creates then
    local created = match(options, 'c(%d+)') or string.format('%.0f', now)
    for _, text in ipairs({'@g', generation, '@f', fingerprint, '@c', created}) do
        sets[#sets + 1] = text
    end
    if deadline then
        sets[#sets + 1] = '@d'
        sets[#sets + 1] = string.format('%.0f', deadline)
    end
end
if marks then
    sets[#sets + 1] = '@m'
    sets[#sets + 1] = ''
end
if idle then
    sets[#sets + 1] = '@i'
    sets[#sets + 1] = idle
elseif removes_idle then
    removes[1] = '@i'
end

if not depends then
    local at = 3
    for kind in string.gmatch(kinds, '.') do
        if kind == 's' then
            sets[#sets + 1] = ARGV[at]
            sets[#sets + 1] = ARGV[at + 1]
            at = at + 2
        else
            removes[#removes + 1] = ARGV[at]
            at = at + 1
        end
    end
else
    -- A counter as two signed halves of nine digits: Lua numbers alone are not exact up to eighteen.
    local function halves(text)
        if text == '0' then
            return 0, 0
        end
        local sign, digits = match(text, '^(%-?)([1-9]%d*)$')
        if not digits or #digits > 18 then
            return nil
        end
        local unit = sign == '' and 1 or -1
        return unit * (tonumber(sub(digits, 1, -10)) or 0), unit * tonumber(sub(digits, -9))
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

    local conflicts, refused = {3}, {4}
    local at, place, index = 3, 4, 0
    for kind in string.gmatch(kinds, '.') do
        local name, value = ARGV[at], nil
        if kind == 's' then
            value = ARGV[at + 1]
        elseif kind ~= 'd' then
            place = place + 1
            local current = found[place]
            if kind == 'i' then
                value = sum(current or '0', ARGV[at + 1])
                if value then
                    counters[#counters + 1] = value
                else
                    refused[#refused + 1] = index
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
                    conflicts[#conflicts + 1] = index
                    conflicts[#conflicts + 1] = current
                elseif kind == how then
                    value = ARGV[at + needs[kind] - 1]
                end
            end
        end
        if value then
            sets[#sets + 1] = name
            sets[#sets + 1] = value
        else
            removes[#removes + 1] = name
        end
        at, index = at + needs[kind], index + 1
    end
    -- A refused change may have been taken for a removal, but then nothing at all is written.
    local refusal = #conflicts > 1 and conflicts or #refused > 1 and refused
    if refusal then
        -- The sender goes on with another number, so an earlier copy that is still on its way must not be written.
        if repeated and found[1] and not reaches(used_up) then
            call('HSET', key, '@w', entries .. label .. written .. ':' .. stamp .. ':' .. sequence)
        end
        return refusal
    end
end
if reaches(used_up) then
    return {3}
end

-- Setting comes first: it is what a server without memory refuses, and it does so only before the first write.
for from = 1, #sets, 128 do
    call('HSET', key, unpack(sets, from, math.min(from + 127, #sets)))
end
for from = 1, #removes, 128 do
    call('HDEL', key, unpack(removes, from, math.min(from + 127, #removes)))
end
call('PEXPIRE', key, life)

local reply = {1, version, remaining}
for i = 1, #counters do
    reply[i + 3] = counters[i]
end
return reply
