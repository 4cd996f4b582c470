"""So many questions at a time, each with a deadline; and whose fault it is when there is no answer."""

from __future__ import annotations

import asyncio

import pytest

from dicomgate.kit.failover import BusyError, NoAnswerError
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.slapd import Slapd
from dicomgate_ldap import Ldap
from dicomgate_ldap.directory import Directory
from dicomgate_ldap.server import Server
from dicomgate_ldap.settings import tls_context
from plugins.ldap.tests.mischief import Mischief, silent

pytestmark = pytest.mark.anyio


async def test_so_many_at_a_time_and_no_more(slapd: Slapd) -> None:
    """Those that find no connection say so: the server is not to blame for them, but for those that it leaves alone."""
    with Mischief(silent) as mute:
        settings = Ldap(**slapd.keys(servers=[mute.url()], connections=2))
        server = Server(settings, settings.urls[0], lambda: tls_context(settings.ca))
        verify = Directory(server).verify
        under_way = [asyncio.create_task(verify("alice", ALICE.decode(), 600)) for _ in range(2)]
        await asyncio.to_thread(wait_until, lambda: mute.connections == 2, "both connections are taken")
        for _ in range(3):
            with pytest.raises(BusyError, match=r"^all connections are busy$"):
                await verify("alice", ALICE.decode(), 0.01)
        assert mute.connections == 2
        for one in under_way:
            one.cancel()
        await asyncio.wait(under_way)
        with pytest.raises(NoAnswerError, match=r"^no answer within 0\.5 s$") as raised:
            await verify("alice", ALICE.decode(), 0.5)
        assert not isinstance(raised.value, BusyError)
        await server.close()


@pytest.mark.parametrize(("seconds", "error"), [(0.0, NoAnswerError), (1.2, BusyError)])
async def test_whose_fault_it_is(slapd: Slapd, seconds: float, error: type[NoAnswerError]) -> None:
    """Not the server's, if the question waited for a connection for most of its 2 s."""
    settings = Ldap(**slapd.keys(connections=1))
    server = Server(settings, settings.urls[0], lambda: tls_context(settings.ca))
    taken = asyncio.Event()

    async def never() -> None:
        taken.set()
        await asyncio.Event().wait()

    first = asyncio.create_task(server.in_time(never, 600))
    await taken.wait()
    taken.clear()
    second = asyncio.create_task(server.in_time(never, 2))
    await asyncio.sleep(seconds)
    first.cancel()
    with pytest.raises(NoAnswerError) as raised:
        await second
    assert type(raised.value) is error
    assert taken.is_set() or seconds
