-- The shared state in a Redis. Each run of this script is one atomic step, by the server's clock. It answers as
-- sqlite_tables.py does: tests/state/test_model.py holds both to one model.
--
-- ARGV  the name of a function in `run` (see the last line), and its arguments as JSON
-- KEYS  a hash: counter -> "n until before last forget", as in sqlite_tables.py; then sorted sets:
local COUNTERS = KEYS[1]
local NEXT_TO_GO = KEYS[2] -- counter -> few attempts first, of those the oldest
local FORGET = KEYS[3]     -- counter -> when it will be forgotten; inf if it is locked
local KNOWN = KEYS[4]      -- subject -> until when it is known
local USED = KEYS[5]       -- key -> until when it is kept
-- A hash: counter -> "n until": so many of its attempts are being verified, until then at most. It may vanish.
local UNDER_WAY = KEYS[6]

local given = cjson.decode(ARGV[2])
local limits = given.limits
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function forget(key)
    redis.call('ZREM', NEXT_TO_GO, key)
    redis.call('ZREM', FORGET, key)
    return redis.call('HDEL', COUNTERS, key)
end

local function over(set)
    return redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, limits.sweep)
end

local function kept(set, key)
    return (tonumber(redis.call('ZSCORE', set, key)) or 0) > now
end

local function read(key)
    local found = redis.call('HGET', COUNTERS, key)
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
    redis.call('HSET', COUNTERS, key, numbers)
    -- One number for both: a time in seconds takes 2^34 for centuries to come.
    redis.call('ZADD', NEXT_TO_GO, string.format('%.17g', math.min(row.n, 2 ^ 16) * 2 ^ 34 + row.last), key)
    redis.call('ZADD', FORGET, string.format('%.17g', row.ends), key)
end

-- Beyond the limit drop the counters that come first in NEXT_TO_GO, but none that was counted just now.
local function make_room(backoffs)
    local excess = redis.call('ZCARD', NEXT_TO_GO) - limits.counters
    if excess <= 0 then
        return
    end
    local spared = {}
    for _, backoff in ipairs(backoffs) do
        spared[backoff.key] = true
    end
    for _, key in ipairs(redis.call('ZRANGE', NEXT_TO_GO, 0, excess + #backoffs - 1)) do
        if excess > 0 and not spared[key] then
            forget(key)
            excess = excess - 1
        end
    end
end

local function wait_after(backoff, n)
    if n < backoff.free then
        return 0
    end
    return math.min(backoff.longest, backoff.first * 2 ^ math.min(n - backoff.free, 64))
end

local function under_way(key)
    local n, until_ = string.match(redis.call('HGET', UNDER_WAY, key) or '', '(%S+) (%S+)')
    until_ = tonumber(until_) or 0
    -- Later than any that begins now: the clock was ahead then.
    return until_ > now and until_ <= now + limits.under_way and tonumber(n) or 0, until_
end

local function begin(key)
    -- Those that were never ended stay in it as long as others come.
    if redis.call('HLEN', UNDER_WAY) >= limits.counters then
        redis.call('UNLINK', UNDER_WAY)
    end
    redis.call('HSET', UNDER_WAY, key, string.format('%d %.17g', under_way(key) + 1, now + limits.under_way))
    redis.call('PEXPIRE', UNDER_WAY, math.ceil(2000 * limits.under_way))
end

local run = {}

function run.ended()
    for _, key in ipairs(given.ended) do
        local n, until_ = under_way(key)
        if n > 1 then
            redis.call('HSET', UNDER_WAY, key, string.format('%d %.17g', n - 1, until_))
        else
            redis.call('HDEL', UNDER_WAY, key)
        end
    end
end

-- The answer: {1 if the subject is known, number of the backoff that holds it or 0, seconds: "inf" if locked, attempts
-- that are being verified}; then what it rests on: the backoffs, and their rows.
local function judge()
    local is_known = kept(KNOWN, given.subject)
    local backoffs = is_known and given.known or given.unknown
    local rows, held, wait = {}, 0, 0
    for number, backoff in ipairs(backoffs) do
        local row = read(backoff.key)
        -- No wait is longer than so many attempts make it, even if the clock was ahead when it began.
        local latest = now + wait_after(backoff, row.n)
        if row.until_ > latest then
            row.until_, row.cut = latest, true
        end
        local its_wait = row.until_ - now
        if backoff.most >= 0 and row.n >= backoff.most then
            its_wait = math.huge
        end
        if its_wait > wait then
            held, wait = number, its_wait
        end
        rows[number] = row
    end
    local others = held > 0 and under_way(backoffs[held].key) or 0
    return { is_known and 1 or 0, held, string.format('%.17g', wait), others }, backoffs, rows
end

function run.look()
    local answer = judge()
    return answer
end

function run.take()
    for _, key in ipairs(over(FORGET)) do
        forget(key)
    end
    local answer, backoffs, rows = judge()
    local held = answer[2] ~= 0
    for number, backoff in ipairs(backoffs) do
        local row = rows[number]
        if not held then
            row.n, row.before, row.last = row.n + 1, row.until_, now
            row.until_ = now + wait_after(backoff, row.n)
            row.ends = backoff.most >= 0 and row.n >= backoff.most and math.huge or now + limits.forget_counter
            begin(backoff.key)
        end
        if not held or row.cut then
            write(backoff.key, row)
        end
    end
    if not held then
        make_room(backoffs)
    end
    return answer
end

local function refund()
    for _, key in ipairs(given.refund) do
        local row = read(key)
        if row.n > 1 then
            row.n, row.until_, row.ends = row.n - 1, row.before, row.last + limits.forget_counter
            write(key, row)
        else
            forget(key)
        end
    end
end

function run.refund()
    refund()
    given.ended = given.refund
    run.ended()
end

function run.succeeded()
    for _, subject in ipairs(over(KNOWN)) do
        redis.call('ZREM', KNOWN, subject)
    end
    redis.call('ZADD', KNOWN, string.format('%.17g', now + limits.forget_known), given.subject)
    local excess = redis.call('ZCARD', KNOWN) - limits.known
    if excess > 0 then
        redis.call('ZREMRANGEBYRANK', KNOWN, 0, excess - 1)
    end
    run.clear()
    refund()
    run.ended()
end

-- 1 for the first use, 0 for another, -1 without room
function run.unused()
    if kept(USED, given.key) then
        return 0
    end
    return redis.call('ZCARD', USED) - #over(USED) < limits.used and 1 or -1
end

function run.first_use()
    for _, key in ipairs(over(USED)) do
        redis.call('ZREM', USED, key)
    end
    local answer = run.unused()
    if answer == 1 then
        redis.call('ZADD', USED, string.format('%.17g', now + given.seconds), given.key)
    end
    return answer
end

-- {now, {counter, its value, ...}}: the caller sorts them, because other commands wait while this script runs
function run.counters()
    return { string.format('%.17g', now), redis.call('HGETALL', COUNTERS) }
end

function run.clear()
    local cleared = 0
    for _, key in ipairs(given.forget) do
        cleared = cleared + forget(key)
    end
    return cleared
end

function run.clear_all()
    local cleared = redis.call('HLEN', COUNTERS)
    redis.call('UNLINK', COUNTERS, NEXT_TO_GO, FORGET)
    return cleared
end

return run[ARGV[1]]()
