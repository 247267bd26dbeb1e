-- Ends a session. Argument: <generation> <leave a tombstone: 1 or 0> <its life in milliseconds>.
-- Replies 1: done; 0: there was none.
local key = KEYS[1]
local generation, leave, life = string.match(ARGV[1], '^(%S+) (%d) (%d+)$')
local found = redis.call('HMGET', key, '@g', '@m', '@t')
local done = 1
if found[1] ~= generation then
    if found[1] then
        return 0
    elseif found[3] then
        -- One left by a rotation may end before a late creation arrives.
        if leave == '1' then
            redis.call('PEXPIRE', key, life)
        end
        return 0
    elseif redis.call('EXISTS', key) == 1 then
        return -1
    elseif leave == '0' then
        return 0
    end
    done = 0
end
-- Deleting comes first, also where there is nothing: after it, a server without memory takes the tombstone.
redis.call('UNLINK', key)
if leave == '1' or found[2] then
    redis.call('HSET', key, '@t', '')
    redis.call('PEXPIRE', key, life)
end
return done
