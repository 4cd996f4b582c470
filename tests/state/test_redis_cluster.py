"""Several gateways on one Redis: who is there, what is ordered, the places of users; whatever becomes of the Redis."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from dicomgate.state.cluster import Cluster, Member, StateUnavailable, Times
from dicomgate.state.redis_cluster import RedisCluster
from dicomgate.testing.peers.redis import RedisServer

pytestmark = pytest.mark.anyio
SHORT = Times(beat=0.05, lease=0.3, answer=0.1, catch_up=0.4)
Join = Callable[[str], Cluster]


@pytest.fixture
async def join(redis_server: RedisServer, anyio_backend: str) -> AsyncIterator[Join]:
    """Let a gateway join those on one Redis."""
    async with AsyncExitStack() as stack:

        def one(node: str, times: Times = SHORT) -> Cluster:
            cluster = RedisCluster(redis_server.url, node, times, deadline=5)
            stack.push_async_callback(cluster.close)
            return cluster

        yield one


async def names(cluster: Cluster) -> list[str]:
    return sorted(member.name for member in (await cluster.beat()).members)


async def orders(cluster: Cluster) -> list[str]:
    return [order.text for order in (await cluster.beat()).orders]


async def until(expected: object, question: Callable[[], Awaitable[object]]) -> None:
    """Ask until this is the answer: of what ends by itself, nobody says when it has."""
    async with asyncio.timeout(10):
        while await question() != expected:
            await asyncio.sleep(0.02)


async def test_a_gateway_is_there_until_it_ends_or_its_lease_ends(join: Join) -> None:
    one, two, three = join("gate 1"), join("gate 2"), join("gate 2")
    for cluster in (one, two, three):
        await cluster.beat()
    assert await names(one) == ["gate 1", "gate 2", "gate 2"]  # told apart by their runs
    await three.close()
    assert await names(one) == ["gate 1", "gate 2"]
    await until(["gate 1"], lambda: names(one))  # the others say nothing any more


async def test_an_order_reaches_all_who_are_there_or_come_while_it_stands_and_each_once(join: Join) -> None:
    one, two = join("1"), join("2")
    assert await orders(one) == []
    await two.beat()
    order_id, others = await one.order("kick { alice }", 60)
    assert others == [two.me]
    assert await orders(two) == ["kick { alice }"]
    assert await orders(two) == []
    await two.answer(order_id, 1, "a piece", last=False)
    assert await one.answered(order_id, others) == [0]
    await two.answer(order_id, 2, "the last", last=True)
    assert await one.answered(order_id, [*others, Member("3", "0")]) == [2, 0]
    assert [await one.piece(order_id, two.me, number) for number in (1, 2, 3)] == ["a piece", "the last", ""]
    await two.order("sessions", 0.1)
    heard = (await join("3").beat()).orders
    assert [(order.text, order.by) for order in heard] == [("kick { alice }", one.me.run), ("sessions", two.me.run)]
    assert all(0 <= order.age < 5 for order in heard)
    assert 50 < heard[0].left <= 60
    await until(["kick { alice }"], lambda: orders(join("later")))
    await two.order("let alice in", 0.1, outlast=True)
    *_, last = (await join("last").beat()).orders
    assert last.left > 50, "it stands as long as what it takes back"


async def test_a_user_has_so_many_places_at_all_gateways_together(join: Join, redis_server: RedisServer) -> None:
    one, two = join("1"), join("2")
    given = await asyncio.gather(*((one, two)[n % 2].enter("staff\0alice", f"{n}", 3, ()) for n in range(20)))
    assert given.count(True) == 3
    assert await two.enter("staff\0bob", "bob's", 3, ())
    held = [str(n) for n in range(20) if given[n]]
    assert await two.enter("staff\0alice", "next", 3, held[:1])
    assert not await two.enter("staff\0alice", "one more", 3, ())
    await one.keep({}, {"staff\0alice": held[1:]})
    assert await two.enter("staff\0alice", "two more", 3, ())
    redis_server.command("flushall")
    await one.keep({"staff\0alice": ["a", "b", "c"]}, {})
    assert not await two.enter("staff\0alice", "one more", 3, ())
    # One that does not renew them loses them.
    await until(True, lambda: two.enter("staff\0alice", "one more", 3, ()))


async def test_nothing_stays_in_the_server(join: Join, redis_server: RedisServer) -> None:
    one = join("1")
    await one.beat()
    order_id, _ = await one.order("sessions", 0.2)
    await one.answer(order_id, 1, "rows", last=True)
    await one.enter("staff\0alice", "1", 3, ())
    keys = redis_server.command("keys", "*").split()
    assert len(keys) == 5
    assert all(key.startswith("dicomgate:{state}:") for key in keys)
    await until([], lambda: asyncio.to_thread(lambda: redis_server.command("keys", "*").split()))


async def test_nonsense_of_others_in_the_server_is_no_order(join: Join, redis_server: RedisServer) -> None:
    one, two = join("1"), join("2")
    for nonsense in (
        "",
        "1",
        "1 2 3 kick",
        "x 0123456789abcdef 1 kick",
        "99999999999 0123456789abcdef 1 kick",
        "nan 0123456789abcdef 1 kick",
    ):
        redis_server.command("zadd", "dicomgate:{state}:orders", "9e9", nonsense)
    for name in ("orders", "nodes"):
        redis_server.command("zadd", f"dicomgate:{{state}}:{name}", "inf", "for ever", "9e9", "years")
    redis_server.command("zadd", "dicomgate:{state}:nodes", str(time.time() + 60), os.fsdecode(b"\xff\xfe x"))
    await two.order("sessions", 5, outlast=True)
    assert await orders(one) == ["sessions"]
    assert await names(one) == ["1", "x"]
    order_id, _ = await two.order("sessions", 5)
    redis_server.command("hset", f"dicomgate:{{state}}:answers:{order_id}", two.me.run, "many")
    await one.answer(order_id, 1, "a piece", last=True)
    assert await one.answered(order_id, [one.me, two.me]) == [1, 0]
    for name in ("orders", "nodes", "last-order"):
        redis_server.command("set", f"dicomgate:{{state}}:{name}", "of another type")
    assert await orders(one) == []
    await two.order("sessions", 5)
    assert await orders(one) == ["sessions"]


async def test_a_server_that_may_drop_places_is_not_relied_on(own_redis: RedisServer) -> None:
    own_redis.command("config", "set", "maxmemory", "100mb")
    cluster = RedisCluster(own_redis.url, "1", SHORT)
    for policy, relied_on in (("volatile-lru", False), ("allkeys-lru", False), ("noeviction", True)):
        own_redis.command("config", "set", "maxmemory-policy", policy)
        if relied_on:
            assert await cluster.enter("alice", "1", 1, ())
        else:
            with pytest.raises(StateUnavailable, match="set its maxmemory-policy to noeviction"):
                await cluster.enter("alice", "1", 1, ())
    own_redis.stop()
    with pytest.raises(StateUnavailable, match="cannot be reached"):
        await cluster.beat()
    own_redis.start()
    assert await names(cluster) == ["1"]
    await cluster.close()
