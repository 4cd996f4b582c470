"""The server: gone, hung, slow, started anew, full, not ours, or no Redis at all. Nobody waits for it in vain."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate.errors import ConfigError
from dicomgate.state import open_state
from dicomgate.state.protocol import Backoff, Grant, Limits, SharedState, StateUnavailable
from dicomgate.state.redis import RedisState
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.certificates import make_certificates
from dicomgate.testing.peers.loopback import HOST, free_port
from dicomgate.testing.peers.redis import RedisServer, run_redis, tls_options
from dicomgate.testing.peers.silence import Names, silent
from tests.state.servers import flooding, losing_answers, passing_on, saying, serving

__all__ = ["names"]

pytestmark = pytest.mark.anyio
SOON = datetime.now(UTC) + timedelta(hours=1)
QUICK = Limits(deadline=1, listing_deadlines=1)
PATIENT = Limits(deadline=20)  # for a server that answers: this machine may be busy
ALICE = [Backoff("account:alice", 1_000_000, 600, 3600)]
CANARY = "canary-secret"
QUESTIONS: list[Callable[[SharedState], Awaitable[object]]] = [
    lambda state: state.take("alice@a", (), ALICE),
    lambda state: state.refund(["account:alice"]),
    lambda state: state.ended(["account:alice"]),
    lambda state: state.succeeded("alice@a", ["account:alice"], ["source:a"]),
    lambda state: state.first_use("ticket", SOON),
    lambda state: state.counters(),
    lambda state: state.clear(["account:alice"]),
    lambda state: state.clear(None),
]


@pytest.fixture
async def state(own_redis: RedisServer, anyio_backend: str) -> AsyncIterator[RedisState]:
    """A state in a server of its own."""
    async with opened(own_redis.url) as state:
        yield state


@asynccontextmanager
async def opened(url: str, limits: Limits = PATIENT) -> AsyncIterator[RedisState]:
    state = RedisState(url, limits)
    yield state
    await state.close()


async def unavailable(state: RedisState, match: str, questions: Any = QUESTIONS) -> None:
    """Whatever is asked, alone and all at once, it is StateUnavailable in time, and says no secret."""
    deadline = state._limits.deadline

    async def ask(question: Callable[[SharedState], Awaitable[object]]) -> None:
        start = time.monotonic()
        with pytest.raises(StateUnavailable) as raised:
            await question(state)
        assert time.monotonic() - start < deadline + 5
        assert re.search(f"state redis.*{match}", str(raised.value)), raised.value
        assert CANARY not in str(raised.value)

    await ask(questions[0])
    await asyncio.gather(*(ask(questions[number % len(questions)]) for number in range(40)))


async def works(state: SharedState) -> None:
    """Each question gets the answer that is its own."""
    await state.clear(None)
    for n in range(1, 4):
        assert await state.take("nobody", (), ALICE) == Grant(False)
        assert [(count.key, count.n) for count in await state.counters()] == [("account:alice", n)]
        assert await state.first_use(key := f"{time.monotonic()}", SOON)
        assert not await state.first_use(key, SOON)
    assert await state.clear(["account:alice", "account:bob"]) == 1


async def test_a_server_that_is_gone_is_found_again(own_redis: RedisServer, state: RedisState) -> None:
    await asyncio.gather(*(state.take("", (), ALICE) for _ in range(40)))
    own_redis.stop()
    await asyncio.sleep(0.1)  # for the event loop to hear of it
    await unavailable(state, "cannot be reached: Connection refused")
    own_redis.start()
    await works(state)
    # Ended and started between two questions: nobody notices, although every connection is broken.
    await asyncio.gather(*(state.take("", (), ALICE) for _ in range(40)))
    own_redis.stop()
    own_redis.start()
    await asyncio.sleep(0.1)
    await works(state)


async def test_a_server_that_was_not_there_at_the_start_is_found(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        async with opened(server.url) as state:
            await unavailable(state, "cannot be reached")
            server.start()
            await works(state)
    finally:
        server.stop()


async def test_a_server_that_hangs_is_not_waited_for_and_its_late_answers_are_nobodys(own_redis: RedisServer) -> None:
    async def works_alone(state: SharedState, number: int) -> None:
        for turn in range(5):
            assert await state.first_use(f"{number} {turn}", SOON)
            assert not await state.first_use(f"{number} {turn}", SOON)
            assert await state.clear([f"unknown {number}"]) == 0

    async with opened(own_redis.url, QUICK) as state:
        await works(state)
        own_redis.hang()
        try:
            await unavailable(state, "no answer within 1 s")
        finally:
            own_redis.go_on()
        await works(state)
        await asyncio.gather(*(works_alone(state, number) for number in range(30)))


async def test_closing_does_not_wait_for_a_server_that_hangs(own_redis: RedisServer) -> None:
    state = RedisState(own_redis.url, QUICK)
    await works(state)
    own_redis.hang()
    try:
        start = time.monotonic()
        await state.close()
        assert time.monotonic() - start < QUICK.deadline + 5
    finally:
        own_redis.go_on()


@pytest.mark.parametrize("silence", ["TCP", "TLS"])
async def test_an_address_of_the_host_that_is_silent_holds_up_no_question(
    tmp_path: Path, names: Names, silence: str, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = make_certificates(tmp_path)
    port = free_port()
    options = {**tls_options(certificates), "tls-port": str(port)} if silence == "TLS" else {"port": str(port)}
    names.addresses["localhost"] = ["127.0.0.2", HOST]
    query = f"?ssl_ca_certs={certificates.ca}" if silence == "TLS" else ""
    url = f"redis{'s' if silence == 'TLS' else ''}://localhost:{port}/0{query}"
    mute = socket.create_server(("127.0.0.2", port)) if silence == "TLS" else silent("127.0.0.2", port)
    with run_redis(tmp_path, options), mute:
        async with opened(url, Limits(deadline=4)) as state:
            await works(state)
    (told,) = [line for line in caplog.messages if line.startswith("state ")]
    assert re.search(rf"127\.0\.0\.2:{port}: no answer within .* s; 127\.0\.0\.1:{port} answers", told)


async def test_addresses_that_are_all_silent_are_named_and_a_moved_name_is_found(
    own_redis: RedisServer, names: Names
) -> None:
    names.addresses["redis.test"] = ["127.0.0.2", "127.0.0.3"]
    with silent("127.0.0.2", own_redis.port), silent("127.0.0.3", own_redis.port):
        async with opened(f"redis://redis.test:{own_redis.port}/0", Limits(deadline=0.5)) as state:
            told = rf"127\.0\.0\.2:{own_redis.port}: no answer within .*; 127\.0\.0\.3:{own_redis.port}: no answer"
            await unavailable(state, told, QUESTIONS[:1])
            names.addresses["redis.test"] = None  # the resolver hangs: that holds up nobody else
            await unavailable(state, told, QUESTIONS[:1])
            assert await asyncio.wait_for(asyncio.to_thread(int), 5) == 0
            names.addresses["redis.test"] = [HOST]
            names.release()
            assert state._client.servers is not None
            await asyncio.wait(((await state._client.servers.current()).look_up(),))
            await works(state)


async def test_when_a_server_vanishes_one_question_is_lost_and_not_one_for_each_connection(
    redis_server: RedisServer,
) -> None:
    old = asyncio.Event()
    there = passing_on(redis_server.port, 0)

    async def vanishing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = asyncio.create_task(there(reader, writer))
        if not old.is_set():
            await old.wait()
            passing.cancel()
            await asyncio.Event().wait()
        await passing

    async with serving(vanishing) as url, opened(url.replace(f":{CANARY}@", ""), QUICK) as state:
        await asyncio.gather(*(state.take("", (), ALICE) for _ in range(8)))
        old.set()
        await asyncio.sleep(0)
        with pytest.raises(StateUnavailable, match="no answer within 1 s"):
            await state.take("", (), ALICE)
        assert await state.take("", (), ALICE) == Grant(False)


async def test_a_slow_server_is_used_as_long_as_it_answers_in_time(redis_server: RedisServer) -> None:
    async with serving(passing_on(redis_server.port, 0.06)) as url:
        plain = url.replace(f":{CANARY}@", "")
        async with opened(plain, QUICK) as slow:
            await unavailable(slow, "no answer within 1 s")
        async with opened(plain) as patient:
            assert await patient.take("", (), ALICE) == Grant(False)


@pytest.mark.parametrize(
    "handle",
    [
        saying(b""),
        saying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        saying(b"\x15\x03\x03\x00\x02\x02\x46"),  # a TLS alert
        saying(b"+OK\r\n"),
        saying(b":1\r\n"),
        saying(b"$-1\r\n"),
        saying(b"*0\r\n"),
        saying(b"-ERR " + CANARY.encode() + b"\r\n"),
        saying(b"-NOSCRIPT\r\n"),
        saying(b"*1\r\n" * 20_000),
        saying(b"$99999999999\r\nx"),
        saying(b"$-7\r\n*-7\r\n:x\r\n"),
        saying(b"$5\r\n\xff\xfe\xff\xfe\xff\r\n"),
        flooding(bytes(range(256)) * 16),
        flooding(b"+OK\r\n" * 1000),
        flooding(b"*3\r\n:0\r\n:7\r\n$3\r\nxyz\r\n" * 100),
    ],
)
async def test_what_is_no_redis_is_unavailable(handle: Any) -> None:
    # Of the last two questions a number would be an answer, and of refund and succeeded anything is.
    questions = [QUESTIONS[0], QUESTIONS[3], QUESTIONS[4]]
    async with serving(handle) as url, opened(url, Limits(deadline=0.3, listing_deadlines=1)) as state:
        await unavailable(state, "", questions)


async def test_an_attempt_whose_answer_is_lost_is_counted_once(redis_server: RedisServer) -> None:
    async with opened(redis_server.url) as direct, serving(losing_answers(redis_server.port)) as url:
        await direct.take("", (), ALICE)  # the script is there
        async with opened(url.replace(f":{CANARY}@", "")) as state:
            with pytest.raises(StateUnavailable, match="Connection closed by server"):
                await state.take("", (), ALICE)
        assert [count.n for count in await direct.counters()] == [2]


async def test_a_server_that_closes_at_once_is_unavailable() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with serving(handle) as url, opened(url) as state:
        await unavailable(state, "cannot be reached: Connection closed by server")


@pytest.mark.parametrize(
    ("options", "user", "says"),
    [
        ({"requirepass": "right"}, f":{CANARY}@", "it refuses the user or the password"),
        ({"requirepass": "right"}, "", "it refuses the user or the password"),
        ({"user": "gate on >right ~dicomgate:* +@all"}, f"gate:{CANARY}@", "it refuses the user or the password"),
        ({"user": f"gate on >{CANARY} ~other:* +@all"}, f"gate:{CANARY}@", "its ACL forbids this user"),
        ({"user": f"gate on >{CANARY} ~dicomgate:* -@all +info"}, f"gate:{CANARY}@", "its ACL forbids this user"),
        ({"replicaof": "127.0.0.1 1"}, "", "it is a replica"),
    ],
)
async def test_a_server_that_refuses_says_so_without_a_secret(
    tmp_path: Path, options: dict[str, str], user: str, says: str
) -> None:
    with run_redis(tmp_path, options) as server:
        async with opened(server.url.replace("//", f"//{user}")) as state:
            await unavailable(state, says, QUESTIONS[:4])


@pytest.mark.parametrize(
    ("options", "user"),
    [
        ({"requirepass": "p@ss/word"}, ":p%40ss%2Fword@"),
        ({"user": "gate on >right ~dicomgate:* +evalsha +script|load +eval +time +@read +@write"}, "gate:right@"),
    ],
)
async def test_a_password_and_a_user_for_this_alone_do(tmp_path: Path, options: dict[str, str], user: str) -> None:
    with run_redis(tmp_path, options) as server:
        async with opened(server.url.replace("//", f"//{user}")) as state:
            await works(state)


async def test_a_full_server_changes_nothing_and_may_have_room_again(own_redis: RedisServer, state: RedisState) -> None:
    await state.take("", (), ALICE)
    own_redis.command("config", "set", "maxmemory", "1mb")
    writing = [QUESTIONS[0], *QUESTIONS[3:5]]  # the others make room, or only read
    await unavailable(state, r"its memory is full \(maxmemory\)", writing)
    assert [(count.key, count.n) for count in await state.counters()] == [("account:alice", 1)]
    assert await state.clear(None) == 1  # an operator can make room
    own_redis.command("config", "set", "maxmemory", "0")
    await works(state)


async def test_a_server_that_may_drop_what_it_keeps_is_not_relied_on(own_redis: RedisServer, state: RedisState) -> None:
    def policy(name: str) -> None:
        own_redis.command("config", "set", "maxmemory-policy", name)

    own_redis.command("config", "set", "maxmemory", "100mb")
    for name in ("allkeys-lru", "allkeys-random"):
        policy(name)
        await unavailable(state, "set its maxmemory-policy to noeviction")
    policy("noeviction")
    await works(state)
    policy("volatile-lru")
    async with opened(own_redis.url) as another:
        await works(another)
    # Why that does: but for "under-way", which may vanish, none of our keys has an end of its own.
    assert own_redis.command("info", "keyspace").count("expires=1") == 1


async def test_a_server_that_was_away_is_looked_at_anew(own_redis: RedisServer, state: RedisState) -> None:
    await works(state)
    own_redis.stop()
    await unavailable(state, "cannot be reached")
    own_redis.options = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
    own_redis.start()
    await unavailable(state, "set its maxmemory-policy to noeviction")


async def test_all_its_keys_are_ours_by_name(own_redis: RedisServer, state: RedisState) -> None:
    for question in QUESTIONS[:6]:
        await question(state)
    await state.take("", (), ALICE)
    keys = own_redis.command("keys", "*").split()
    assert len(keys) == 6
    assert all(key.startswith("dicomgate:{state}:") for key in keys)
    await state.clear(None)
    left = own_redis.command("keys", "*").split()
    # What is being verified is so all the same; that key vanishes by itself.
    assert sorted(left) == [f"dicomgate:{{state}}:{name}" for name in ("known", "under-way", "used")]
    assert 0 < int(own_redis.command("pttl", "dicomgate:{state}:under-way")) <= 30_000


async def test_a_subject_that_is_no_longer_known_is_not_kept(redis_server: RedisServer) -> None:
    async with opened(redis_server.url, Limits(deadline=20, forget_known=0)) as state:
        for name in "abc":
            await state.succeeded(name, (), ())
    assert redis_server.command("zrange", "dicomgate:{state}:known", "0", "-1").split() == ["c"]


async def test_tls_is_verified_with_the_authority_of_the_url(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    options = tls_options(certificates)
    url = f"rediss://127.0.0.1:{options['tls-port']}/0"
    with run_redis(tmp_path, options):
        for stranger in (url, f"{url}?ssl_ca_certs={certificates.other_ca}"):
            async with opened(stranger) as state:  # 40 at once shake hands
                await unavailable(state, "cannot be reached: .*certificate verify failed")
        async with opened(f"{url}?ssl_ca_certs={certificates.ca}") as state:
            await works(state)


async def test_a_socket_in_the_file_system_does(tmp_path: Path) -> None:
    with run_redis(tmp_path, {"unixsocket": str(tmp_path / "redis.sock")}):
        async with opened(f"unix://{tmp_path}/redis.sock") as state:
            await works(state)


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{CANARY}@127.0.0.1/",
        f"redis://:pa#{CANARY}@127.0.0.1/0",
        f"redis://:pa/{CANARY}@127.0.0.1/0",
        f"redis://:1/{CANARY}@127.0.0.1/0",
        f"redis://:{CANARY}@127.0.0.1/state",
        f"redis://:{CANARY}@127.0.0.1:port/0",
        f"redis://127.0.0.1/0?{CANARY}=1",
        f"redis://127.0.0.1/0?db={CANARY}",
        f"redis://127.0.0.1/0?protocol={CANARY}",
        f"redis://[{CANARY}/0",
        CANARY,
        "",
        "unix://",
    ],
)
def test_a_wrong_url_is_a_mistake_of_the_configuration_and_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        open_state(None, url)
    assert CANARY not in str(raised.value)
    assert raised.value.__cause__ is None


async def test_the_url_counts_where_there_is_a_path_too(tmp_path: Path) -> None:
    state = open_state(tmp_path / "state.sqlite", "redis://127.0.0.1:1")
    assert isinstance(state, RedisState)
    assert list(tmp_path.iterdir()) == []
    await state.close()


async def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("dicomgate.state.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"pip install redis"):
        open_state(None, "redis://127.0.0.1")
    await open_state(None, None).close()
