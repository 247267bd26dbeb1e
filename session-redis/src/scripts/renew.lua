-- Sets the expiry of a session. Argument: <generation> <milliseconds>. Replies how long it lives now; 0: gone.
local key = KEYS[1]
local generation, life = string.match(ARGV[1], '^(%S+) (%d+)$')
local found = redis.call('HMGET', key, '@g', '@d')
if found[1] ~= generation then
    if not found[1] and redis.call('EXISTS', key) == 1 and redis.call('HEXISTS', key, '@t') == 0 then
        return -1
    end
    return 0
end
life = tonumber(life)
if found[2] then
    local time = redis.call('TIME')
    local deadline = tonumber(found[2])
    if not deadline then
        return -1
    end
    life = math.min(life, deadline - time[1] * 1000 - math.floor(time[2] / 1000))
    if life <= 0 then
        return 0
    end
end
redis.call('PEXPIRE', key, string.format('%.0f', life))
return life
