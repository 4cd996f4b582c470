"""A Redis behind Sentinels: the master is asked for, and found again after a failover."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from dicomgate.state.protocol import Grant, Limits, SharedState, StateUnavailable
from dicomgate.testing.peers.certificates import make_certificates
from dicomgate.testing.peers.loopback import HOST, free_port, wait_until
from dicomgate.testing.peers.redis import RedisServer, Sentinel, tls_options
from dicomgate.testing.peers.silence import silent
from tests.state.servers import saying, serving
from tests.state.test_redis import ALICE, CANARY, QUESTIONS, SOON, opened, unavailable, works

pytestmark = pytest.mark.anyio
LOGIN = f"gate:{CANARY}"
USER = f"gate on >{CANARY} ~dicomgate:* +@all"


class Group(NamedTuple):
    """A master, its replica, and one Sentinel."""

    master: RedisServer
    replica: RedisServer
    sentinel: Sentinel

    def url(self, *before: str, name: str = "pacs", options: str = "") -> str:
        """Of the Sentinel, after those at the addresses `before`."""
        return f"redis+sentinel://{LOGIN}@{','.join((*before, f'{HOST}:{self.sentinel.port}'))}/{name}/0{options}"


@contextmanager
def run_group(folder: Path, sentinel_options: Mapping[str, str] | None = None) -> Iterator[Group]:
    for name in ("master", "replica"):
        (folder / name).mkdir()
    options = {"repl-diskless-sync-delay": "0", "user": USER}
    with RedisServer(folder / "master", options) as master:
        options |= {"replicaof": f"{HOST} {master.port}"}
        with RedisServer(folder / "replica", options) as replica:
            wait_until(lambda: "state=online" in master.command("info", "replication"), "the replica in step")
            with Sentinel(folder, master, sentinel_options) as sentinel:
                found = f"+slave slave {HOST}:{replica.port} "
                wait_until(lambda: found in sentinel.log.read_text(), "the Sentinel knowing the replica")
                yield Group(master, replica, sentinel)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    with run_group(tmp_path) as group:
        yield group


async def answers(state: SharedState) -> Grant:
    """The grant for an attempt, as soon as there is one."""
    until = time.monotonic() + 30
    while True:
        try:
            return await state.take("nobody", (), ALICE)
        except StateUnavailable:
            assert time.monotonic() < until
            await asyncio.sleep(0.1)


async def test_the_master_is_found_and_after_a_failover_the_new_one(group: Group) -> None:
    with silent("127.0.0.2") as (name, port):
        async with opened(group.url(f"{name}:{port}"), Limits(deadline=4)) as state:
            await works(state)
            await asyncio.gather(*(state.take("", (), ALICE) for _ in range(8)))  # connections are kept
            assert await state.first_use("ticket", SOON)
            assert group.master.command("wait", "1", "5000").strip() == "1"  # the replica has it too
            group.master.stop()
            assert await answers(state) == Grant(False)
            assert "role:master" in group.replica.command("info", "replication")
            assert not await state.first_use("ticket", SOON)  # what was replicated is known to the new one
            # The old one comes back as a replica: whoever still holds it is not written to.
            group.master.start()
            await works(state)


async def test_a_master_that_was_demoted_fails_one_question_and_not_one_for_each_connection(group: Group) -> None:
    async with opened(group.url()) as state:
        await asyncio.gather(*(state.take("", (), ALICE) for _ in range(8)))
        group.master.command("replicaof", HOST, str(group.replica.port))
        with pytest.raises(StateUnavailable, match="it is a replica"):
            await state.take("", (), ALICE)
        assert state._client.pool._available_connections
        assert not any(connection.is_connected for connection in state._client.pool._available_connections)


FIRST = QUESTIONS[:1]


async def test_what_is_wrong_is_told_without_a_secret(group: Group) -> None:
    async with opened(group.url(name="archive")) as state:
        await unavailable(state, "cannot be reached: the Sentinels name no master archive that is up", FIRST)
    servers_port = group.url().replace(f":{group.sentinel.port}/", f":{group.master.port}/")
    async with opened(servers_port) as state:
        await unavailable(state, "cannot be reached: what answers is no Sentinel: is it the right port", FIRST)
    async with serving(saying(b"*1\r\n*2\r\n$4\r\nport\r\n$3\r\n" + CANARY[:3].encode() + b"\r\n")) as url:
        sentinel = url.replace("redis:", "redis+sentinel:").replace("/0", "/pacs/0")
        async with opened(sentinel) as state:
            await unavailable(state, "what answers is no Sentinel", FIRST)
    wrong = group.url().replace(f":{group.sentinel.port}/", f":{free_port()}/")
    async with opened(wrong) as state:
        await unavailable(state, "cannot be reached: no Sentinel can be reached that names a master pacs", FIRST)
    async with opened(group.url().replace(CANARY, "other")) as state:
        await unavailable(state, "it refuses the user or the password", FIRST)


async def test_sentinels_and_the_master_with_tls(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    master = RedisServer(tmp_path)
    master.options = {**tls_options(certificates), "tls-port": str(master.port)}
    sentinel = Sentinel(tmp_path, master)
    sentinel.options = {**tls_options(certificates), "tls-port": str(sentinel.port), "tls-replication": "yes"}
    url = f"rediss+sentinel://{HOST}:{sentinel.port}/pacs/0"
    with master, sentinel:
        async with opened(f"{url}?ssl_ca_certs={certificates.ca}") as state:
            await works(state)
        async with opened(f"{url}?ssl_ca_certs={certificates.other_ca}") as state:
            await unavailable(state, "no Sentinel can be reached", FIRST)


async def test_a_sentinel_with_a_password(tmp_path: Path) -> None:
    with run_group(tmp_path, {"requirepass": CANARY}) as group:
        async with opened(group.url(options=f"?sentinel_password={CANARY}")) as state:
            await works(state)
        async with opened(group.url()) as state:
            await unavailable(state, "a Sentinel refuses the gateway: check sentinel_username", FIRST)
