-- What the gateways on one Redis say to each other: who is there, questions and answers, places of users. Each run of
-- this script is one atomic step, by the server's clock. All keys end by themselves, soon after nobody needs them.
--
-- ARGV  the name of a function in `run` (see the last line), and its arguments as JSON. Times are in seconds.

local given = cjson.decode(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function number(value)
    return string.format('%.17g', value)
end

local function end_after(key, seconds)
    redis.call('PEXPIRE', key, math.max(1, math.ceil(seconds * 1000)))
end

local LONGEST = 367 * 86400 -- a user may be shut out for 366 days

-- Drop what is over, and what no gateway has written: it would stand longer than anything may.
local function drop_over(set)
    redis.call('ZREMRANGEBYSCORE', set, '-inf', number(now))
    redis.call('ZREMRANGEBYSCORE', set, number(now + LONGEST), '+inf')
end

-- Drop what has another type than `question` is for: no gateway has written it.
local function drop_unlike(question, key)
    local answer = redis.pcall(question, key)
    if type(answer) == 'table' and string.find(answer.err, 'WRONGTYPE', 1, true) then
        redis.call('UNLINK', key)
    end
end

local function drop_strange()
    drop_unlike('ZCARD', KEYS[1])
    drop_unlike('ZCARD', KEYS[2])
    drop_unlike('HLEN', KEYS[3])
end

local run = {}

-- KEYS  NODES, a sorted set: gateway -> the end of its lease
local function nodes()
    drop_over(KEYS[1])
    return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
end

-- KEYS  NODES; ORDERS, a sorted set: "when it was given", a space, and the order -> until when it stands;
--       LAST, a hash: of -> the id of the last one
-- {now, 1 if this gateway was not there, {gateway, end of its lease, ...}, id of the last order, {order, until, ...}};
-- without orders if that one is known
function run.beat()
    drop_strange()
    local new = redis.call('ZADD', KEYS[1], number(now + given.lease), given.me)
    end_after(KEYS[1], given.lease)
    local last = redis.call('HGET', KEYS[3], 'of') or ''
    local orders = {}
    if last ~= given.last then
        drop_over(KEYS[2])
        orders = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
    end
    return { number(now), new, nodes(), last, orders }
end

function run.withdraw()
    redis.call('ZREM', KEYS[1], given.me)
end

-- KEYS  as of `beat`. The other gateways, as `beat` tells of them; -1 if too many orders stand
function run.order()
    drop_strange()
    drop_over(KEYS[2])
    if redis.call('ZCARD', KEYS[2]) >= given.most then
        return -1
    end
    local until_ = now + given.seconds
    local longest = math.max(until_, tonumber(redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]) or 0)
    redis.call('ZADD', KEYS[2], number(given.outlast and longest or until_), number(now) .. ' ' .. given.order)
    redis.call('HSET', KEYS[3], 'of', given.id)
    end_after(KEYS[2], longest - now)
    end_after(KEYS[3], longest - now)
    return nodes()
end

-- KEYS  a hash, the answers to one order: gateway -> how many pieces it has; "gateway number" -> the piece
function run.answer()
    redis.call('HSET', KEYS[1], given.me .. ' ' .. given.number, given.piece)
    if given.last then
        redis.call('HSET', KEYS[1], given.me, given.number)
    end
    end_after(KEYS[1], given.seconds)
end

-- For each of these fields what it has, or ""
function run.answers()
    local found = {}
    for index, field in ipairs(given.fields) do
        found[index] = redis.call('HGET', KEYS[1], field) or ''
    end
    return found
end

-- KEYS  the places of a user each, a sorted set: association -> the end of its lease
function run.enter()
    for _, member in ipairs(given.gone) do
        redis.call('ZREM', KEYS[1], member)
    end
    drop_over(KEYS[1])
    if redis.call('ZCARD', KEYS[1]) >= given.limit then
        return 0
    end
    redis.call('ZADD', KEYS[1], number(now + given.lease), given.member)
    end_after(KEYS[1], given.lease)
    return 1
end

function run.keep()
    for index, key in ipairs(KEYS) do
        for _, member in ipairs(given.held[index]) do
            redis.call('ZADD', key, number(now + given.lease), member)
        end
        for _, member in ipairs(given.gone[index]) do
            redis.call('ZREM', key, member)
        end
        end_after(key, given.lease)
    end
end

return run[ARGV[1]]()
