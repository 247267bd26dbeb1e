-- Makes a session a tombstone in favour of its successor. Argument: <generation> <version> <successor>
-- <the tombstone's life in milliseconds> <the same if the creation was sent more than once>.
-- Replies 1: done; 2: changed since that version; 0: gone.
local key = KEYS[1]
local generation, version, successor, life, long_life = string.match(ARGV[1], '^(%S+) (%d+) (%S+) (%d+) (%d+)$')
local found = redis.call('HMGET', key, '@g', '@v', '@t', '@m')
if found[1] ~= generation then
    if found[3] == successor then
        return 1
    elseif not found[1] and not found[3] and redis.call('EXISTS', key) == 1 then
        return -1
    end
    return 0
elseif found[2] ~= version then
    return 2
end
-- Deleting comes first: after it, a server without memory takes the tombstone.
redis.call('UNLINK', key)
redis.call('HSET', key, '@t', successor)
redis.call('PEXPIRE', key, found[4] and long_life or life)
return 1
