"""Several gateways on one Redis: one list, a kick anywhere, limits of users for all; with Redis and without."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest
from typer.testing import Result

from dicomgate.errors import ConfigError
from dicomgate.run import protection
from dicomgate.sessions.asking import Heard
from dicomgate.sessions.kick import Kick
from dicomgate.state.cluster import Cluster, Times
from dicomgate.state.redis_cluster import RedisCluster
from dicomgate.testing.commandline import dicomgate, logging_as_it_was
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.redis import RedisServer, run_redis
from dicomgate.testing.peers.spy import Spy
from dicomgate.testing.raw_client import (
    ABORT,
    LOCAL_LIMIT,
    REFUSED_IDENTITY,
    RELEASE_RP,
    TRY_LATER,
    RawClient,
    login,
    request,
)  # fmt: skip
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

TIMES = Times(beat=0.05, lease=1, answer=1, catch_up=5)
ALICE_LOGS_IN = request(login("alice", ALICE))
Answer = TypeVar("Answer")
BY = "uid 1000 (carol)"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all these tests."""
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


Start = Callable[..., Gateway]


@pytest.fixture
def start(gateway: StartGateway, spy: Spy, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a gateway of this name, with these `[limits]`."""

    def quick(url: str, node: str) -> Cluster:
        return RedisCluster(url, node, TIMES)

    monkeypatch.setattr(protection, "open_cluster", quick)
    redis.command("flushall")

    def one(node: str, **limits: Any) -> Gateway:
        tables = configuration(spy.address, settings={"node": node})
        return gateway({**tables, "state": {"url": redis.url}, "limits": limits, "control": {}})

    return one


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    """Clients stay until the test ends."""
    with ExitStack() as stack:
        yield stack


def come(running: Gateway, clients: ExitStack) -> RawClient:
    """A client that has logged in, and stays."""
    client = clients.enter_context(RawClient(running.address))
    assert client.ask(ALICE_LOGS_IN)[0] == 2
    return client


def answer(running: Gateway) -> bytes:
    """What a login is answered."""
    with RawClient(running.address) as client:
        answered = client.ask(ALICE_LOGS_IN)
        if answered[:1] == b"\2":
            assert client.release() == RELEASE_RP
        return answered


def leave(client: RawClient) -> None:
    """Release the association, and go."""
    assert client.release() == RELEASE_RP
    client.socket.close()


def call(running: Gateway, doing: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer of what is done in the loop of this gateway."""
    return asyncio.run_coroutine_threadsafe(doing, running.server.loop).result(20)


def nodes(running: Gateway) -> dict[str, int]:
    """How many associations each of the other gateways has, as this one hears; -1 for one that is silent."""
    heard = call(running, running.server.everywhere.sessions())
    assert heard.problem == ""
    return {**{node: len(rows) for node, rows in heard.answers.items()}, **dict.fromkeys(heard.silent, -1)}


def kick(running: Gateway, **what: Any) -> Heard[str]:
    """What comes of an order to the others."""
    return call(running, running.server.everywhere.kick(Kick(by=BY, **what)))


def ask(running: Gateway, *words: str) -> Result:
    """What comes of a command."""
    with logging_as_it_was():
        return dicomgate(*words, "--config", running.folder / "dicomgate.toml")


def kill(running: Gateway) -> None:
    """Let it say nothing any more, as if it were gone; what it has goes on for the test to clean up."""
    beating = running.server.everywhere._beating
    assert beating is not None
    running.server.loop.call_soon_threadsafe(beating.cancel)
    wait_until(beating.done, "its end")


def test_one_list_and_a_kick_at_another_one(start: Start, clients: ExitStack) -> None:
    one, two = start("gate-1"), start("gate-2")
    wait_until(lambda: nodes(one) == {"gate-2": 0}, "gate-1 hearing of gate-2")
    first, second, own = come(two, clients), come(two, clients), come(one, clients)
    listed = [json.loads(line) for line in ask(one, "sessions", "--json").stdout.splitlines()]
    assert [(row["node"], row["user"], row["traffic"]["idle"] >= 0) for row in listed] == [
        ("gate-2", "alice", True),
        ("gate-2", "alice", True),
        ("gate-1", "alice", True),
    ]
    shown = ask(one, "sessions").stdout.splitlines()
    assert [line.rpartition("\t")[2] for line in shown] == ['"gate-2"', '"gate-2"', '"gate-1"']
    assert nodes(two) == {"gate-1": 1}
    two.tables["throttle"] = {"free": 7}  # then the state is opened anew
    two.write()
    assert two.reload()
    wait_until(lambda: nodes(one) == {"gate-2": 2}, "gate-2 being there as one")

    ended = ask(one, "kick", listed[0]["id"], "--reason", "CT1 hangs")
    assert (ended.exit_code, ended.stderr) == (0, '1 ended ("gate-1" 0, "gate-2" 1)\n')
    assert first.pdu() == ABORT
    (closed,) = two.wait_for("Closed", id=listed[0]["id"])
    (deed,) = two.wait_for("Operated")
    assert (closed["cause"], closed["detail"]) == ("ended by the operator", f"{deed['by']}: CT1 hangs")
    (ordered,) = one.wait_for("Operated")
    for key in ("action", "target", "by", "reason", "problem"):
        assert deed[key] == ordered[key]
    assert ask(one, "kick", listed[0]["id"]).exit_code == 1
    assert ask(one, "kick", "--user", "alice").stderr == '2 ended ("gate-1" 1, "gate-2" 1)\n'
    assert [client.pdu() for client in (second, own)] == [ABORT] * 2


def test_who_is_shut_out_is_so_at_all_even_those_that_start_later(start: Start, clients: ExitStack) -> None:
    one, two = start("gate-1"), start("gate-2")
    wait_until(lambda: nodes(one) == {"gate-2": 0}, "gate-1 hearing of gate-2")
    client = come(two, clients)
    assert kick(one, user="alice", refused_for=600).answers.keys() == {"gate-2"}
    assert client.pdu() == ABORT
    three = start("gate-3")
    wait_until(lambda: three.told("Operated"), "gate-3 hearing of it")
    assert [answer(two), answer(three)] == [REFUSED_IDENTITY] * 2
    assert kick(one, user="alice", refused_for=0).answers == {"gate-2": [], "gate-3": []}
    assert [answer(gateway)[0] for gateway in (two, three)] == [2] * 2


def test_who_does_not_answer_is_named_until_its_lease_ends_and_catches_up(start: Start, clients: ExitStack) -> None:
    one, two, three = start("gate-1"), start("gate-2"), start("gate-2")
    wait_until(lambda: len(nodes(one)) == 2, "gate-1 hearing of both")
    assert all(re.fullmatch(r"gate-2#[0-9a-f]{6}", node) for node in nodes(one)), "two with one name are told apart"
    wait_until(lambda: "another gateway calls itself gate-2, too" in three.log(), "a warning")
    client = come(two, clients)
    kill(two)
    kill(three)
    ended = ask(one, "kick", "--user", "alice")
    assert ended.exit_code == 1
    (deed,) = one.wait_for("Operated")
    assert re.fullmatch("this user has no association; gate-2#.{6}, gate-2#.{6} did not answer", deed["problem"])
    assert "they do it once they hear of it" in ended.stderr
    assert re.match(r'did not answer: "gate-2#[0-9a-f]{6}", "gate-2#[0-9a-f]{6}"\n', ended.stderr)
    wait_until(lambda: nodes(one) == {}, "the end of their leases")
    newer = come(two, clients)
    everywhere, cluster = two.server.everywhere, two.server.generation.protection.cluster
    for use in (None, cluster):
        two.server.loop.call_soon_threadsafe(everywhere.use, use)
    assert client.pdu() == ABORT, "it hears of the order when it is there again"
    leave(newer)  # who came in after the order was not meant


def test_of_20_logins_at_once_at_two_a_user_gets_3_and_places_come_back(start: Start, clients: ExitStack) -> None:
    running = [start(f"gate-{n}", per_user=3, per_user_scope="cluster") for n in (1, 2)]
    asked = [clients.enter_context(RawClient(running[n % 2].address)) for n in range(20)]
    with ThreadPoolExecutor(20) as at_once:
        answers = list(at_once.map(lambda client: client.ask(ALICE_LOGS_IN), asked))
    admitted = [client for client, answer in zip(asked, answers, strict=True) if answer[0] == 2]
    assert len(admitted) == 3
    assert answers.count(LOCAL_LIMIT) == 17
    refused = [event for gateway in running for event in gateway.wait_for("Refused")]
    assert {event["reason_class"] for event in refused} == {"user_limit"}
    for client in admitted:
        leave(client)
    for gateway in running:
        wait_until(lambda: answer(gateway)[0] == 2, "a place coming back")  # noqa: B023


# decision: D51
def test_limits_of_users_while_redis_is_down_or_has_forgotten_all(
    start: Start, clients: ExitStack, redis: RedisServer
) -> None:
    one, two = (start(f"gate-{n}", per_user=1, per_user_scope="cluster") for n in (1, 2))
    strict = start("gate-3", per_user=1, per_user_scope="cluster", on_unreachable="refuse")
    client = come(one, clients)
    assert answer(two) == LOCAL_LIMIT
    redis.command("flushall")
    wait_until(lambda: answer(two) == LOCAL_LIMIT, "gate-1 telling of its place again")
    redis.stop()
    try:
        assert answer(strict) == TRY_LATER
        assert answer(one) == LOCAL_LIMIT, "its own limit goes on"
        local = come(two, clients)
        assert f"other gateways could not be asked: state {redis.url}: cannot" in ask(two, "sessions").stderr
    finally:
        redis.start()
    assert strict.told("Refused")[-1]["reason"].startswith(f"staff/alice: state {redis.url}: cannot be reached")
    wait_until(lambda: "gate-1" in nodes(strict), "the gateways being there again")
    wait_until(lambda: answer(strict) == LOCAL_LIMIT, "the places that are held being told again")
    leave(client)
    leave(local)
    wait_until(lambda: answer(strict)[0] == 2, "a place coming back")
    for told in ("counted by this gateway alone for now", "counted for all gateways again"):
        assert told in two.log()


def test_counting_together_needs_a_redis(gateway: StartGateway, spy: Spy) -> None:
    with pytest.raises(ConfigError, match="only in a Redis: name it as url in"):
        gateway({**configuration(spy.address), "limits": {"per_user": 3, "per_user_scope": "cluster"}})
