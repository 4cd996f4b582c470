-- The state of gateways in a Redis: one run of this script is one step, which nothing comes between, and its clock is
-- the server's. It answers as ledger.py does; both are held to the same tests.
--
-- ARGV  what to do (the last line), and with what, as JSON
-- KEYS  hash: lever -> "n until before last forget", as in ledger.py; then sorted sets:
local LEVERS = KEYS[1]
local NEXT_TO_GO = KEYS[2] -- lever -> few attempts first, then old ones
local FORGET = KEYS[3]     -- lever -> when it will be forgotten: never where it has reached its `most`
local PAIRS = KEYS[4]      -- pair -> until when it is known
local USED = KEYS[5]       -- key -> until when it is kept

local given = cjson.decode(ARGV[2])
local limits = given.limits
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function forget(key)
    redis.call('ZREM', NEXT_TO_GO, key)
    redis.call('ZREM', FORGET, key)
    return redis.call('HDEL', LEVERS, key)
end

local function over(set)
    return redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, limits.sweep)
end

local function kept(set, key)
    return (tonumber(redis.call('ZSCORE', set, key)) or 0) > now
end

local function read(key)
    local found = redis.call('HGET', LEVERS, key)
    if found then
        local n, until_, before, last, ends = string.match(found, '(%S+) (%S+) (%S+) (%S+) (%S+)')
        local row = { n = tonumber(n), until_ = tonumber(until_), before = tonumber(before), last = tonumber(last) }
        row.ends = tonumber(ends)
        if row.ends > now then
            return row
        end
    end
    return { n = 0, until_ = 0, before = 0, last = 0 }
end

local function write(key, row)
    local numbers = string.format('%d %.17g %.17g %.17g %.17g', row.n, row.until_, row.before, row.last, row.ends)
    redis.call('HSET', LEVERS, key, numbers)
    -- One number for both: a time in seconds takes 2^34 for centuries to come.
    redis.call('ZADD', NEXT_TO_GO, string.format('%.17g', math.min(row.n, 2 ^ 16) * 2 ^ 34 + row.last), key)
    redis.call('ZADD', FORGET, string.format('%.17g', row.ends), key)
end

-- Beyond the limit drop the next to go, but none that was counted just now.
local function make_room(levers)
    local excess = redis.call('ZCARD', NEXT_TO_GO) - limits.levers
    if excess <= 0 then
        return
    end
    local spared = {}
    for _, lever in ipairs(levers) do
        spared[lever.key] = true
    end
    for _, key in ipairs(redis.call('ZRANGE', NEXT_TO_GO, 0, excess + #levers - 1)) do
        if excess > 0 and not spared[key] then
            forget(key)
            excess = excess - 1
        end
    end
end

local function wait_after(lever, n)
    if n < lever.free then
        return 0
    end
    return math.min(lever.longest, lever.first * 2 ^ math.min(n - lever.free, 64))
end

local run = {}

-- {known, which lever holds it or 0, how long: "inf" without an end}
function run.take()
    for _, key in ipairs(over(FORGET)) do
        forget(key)
    end
    local known = kept(PAIRS, given.pair)
    local levers = known and given.if_known or given.otherwise
    local rows, held, wait = {}, 0, 0
    for place, lever in ipairs(levers) do
        local row = read(lever.key)
        -- No wait is longer than the longest, even if the clock was wrong when it began.
        if row.until_ > now + lever.longest then
            row.until_ = now + lever.longest
            write(lever.key, row)
        end
        local its_wait = row.until_ - now
        if lever.most >= 0 and row.n >= lever.most then
            its_wait = math.huge
        end
        if its_wait > wait then
            held, wait = place, its_wait
        end
        rows[place] = row
    end
    if held == 0 then
        for place, lever in ipairs(levers) do
            local row = rows[place]
            row.n, row.before, row.last = row.n + 1, row.until_, now
            row.until_ = now + wait_after(lever, row.n)
            row.ends = lever.most >= 0 and row.n >= lever.most and math.huge or now + limits.forget_lever
            write(lever.key, row)
        end
        make_room(levers)
    end
    return { known and 1 or 0, held, string.format('%.17g', wait) }
end

function run.refund()
    for _, key in ipairs(given.refund) do
        local row = read(key)
        if row.n > 1 then
            row.n, row.until_, row.ends = row.n - 1, row.before, row.last + limits.forget_lever
            write(key, row)
        else
            forget(key)
        end
    end
end

function run.succeeded()
    for _, pair in ipairs(over(PAIRS)) do
        redis.call('ZREM', PAIRS, pair)
    end
    redis.call('ZADD', PAIRS, string.format('%.17g', now + limits.forget_pair), given.pair)
    local excess = redis.call('ZCARD', PAIRS) - limits.pairs
    if excess > 0 then
        redis.call('ZREMRANGEBYRANK', PAIRS, 0, excess - 1)
    end
    run.clear()
    run.refund()
end

-- 1 for the first use, 0 for another, -1 without room
function run.first_use()
    for _, key in ipairs(over(USED)) do
        redis.call('ZREM', USED, key)
    end
    if kept(USED, given.key) then
        return 0
    end
    if redis.call('ZCARD', USED) >= limits.used then
        return -1
    end
    redis.call('ZADD', USED, string.format('%.17g', now + given.seconds), given.key)
    return 1
end

-- {now, {lever, its value, ...}}: to go through all of them here would keep everybody waiting
function run.levers()
    return { string.format('%.17g', now), redis.call('HGETALL', LEVERS) }
end

function run.clear()
    local cleared = 0
    for _, key in ipairs(given.forget) do
        cleared = cleared + forget(key)
    end
    return cleared
end

function run.clear_all()
    local cleared = redis.call('HLEN', LEVERS)
    redis.call('UNLINK', LEVERS, NEXT_TO_GO, FORGET)
    return cleared
end

return run[ARGV[1]]()
