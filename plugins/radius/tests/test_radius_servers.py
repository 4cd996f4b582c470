"""Several servers, their names and addresses. tests/kit/test_failover.py has more about the order of asking."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from pyrad.packet import AccessReject, AuthPacket

from dicomgate import Accept, Decision, Reject, Unavailable
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.freeradius import free_udp_port
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.peers.silence import Names
from dicomgate_radius import Radius
from plugins.radius.tests.conftest import MakeRadius, ask, login
from plugins.radius.tests.forger import Forger, answer

__all__ = ["names"]

pytestmark = pytest.mark.anyio
NAME = "radius.example"
UNKNOWN = f"the host name {NAME} does not resolve: Name or service not known"
TOO_LONG = f"no name server has answered yet where {NAME} is"


def says_yes(request: AuthPacket) -> list[bytes]:
    return [answer(request)]


def says_no(request: AuthPacket) -> list[bytes]:
    return [answer(request, AccessReject)]


def says_nothing(request: AuthPacket) -> list[bytes]:
    return []


def asked(forger: Forger) -> int:
    """How many questions came; a request that is sent again is the same question."""
    return len({request.raw_packet for request in forger.requests})


async def test_a_rejection_is_not_taken_elsewhere(radius: MakeRadius) -> None:
    with Forger(says_no) as first, Forger(says_yes) as second:
        assert await ask(radius(first.address, second.address), login()) == [Reject(f"{first.address} rejects")]
        assert await ask(radius(second.address, first.address), login()) == [accepted_by(second)]
    assert asked(first) == asked(second) == 1


async def test_a_busy_server_has_not_failed(radius: MakeRadius, caplog: pytest.LogCaptureFixture) -> None:
    with Forger(says_nothing) as first, Forger(says_yes) as second:
        async with radius(first.address, second.address) as asking:
            waiting = [asyncio.create_task(asking.authenticate(login())) for _ in range(256)]
            await asyncio.sleep(0)
            assert await asking.authenticate(login()) == accepted_by(second)
            assert "RADIUS" not in caplog.text
            for one in waiting:
                one.cancel()
            await asyncio.wait(waiting)
            asked_again = asyncio.create_task(asking.authenticate(login()))
            await asyncio.sleep(0.2)
            assert not asked_again.done()  # the logins that gave up have left their places
            asked_again.cancel()
            await asyncio.wait([asked_again])
    assert asked(second) == 1


async def test_all_are_asked_if_none_answered(radius: MakeRadius) -> None:
    with Forger(says_nothing) as first, Forger(says_nothing) as second:
        async with radius(first.address, second.address, seconds=3) as asking:
            neither = await asking.authenticate(login())
            assert isinstance(neither, Unavailable)
            assert neither.reason.count("no answer within 1.") == 2
            second.script = says_yes
            assert await asking.authenticate(login()) == accepted_by(second)


async def test_a_name_that_is_not_known_yet(radius: MakeRadius, names: Names, caplog: pytest.LogCaptureFixture) -> None:
    names.addresses[NAME] = []
    with Forger(says_yes) as forger:
        name = named(forger)
        async with radius(name) as asking:
            assert f"{name} cannot be asked yet: {UNKNOWN}" in caplog.text
            assert await asking.authenticate(login()) == Unavailable(f"{name}: {UNKNOWN}")
            names.addresses[NAME] = [HOST]
            for _ in range(2):
                assert isinstance(await asking.authenticate(login()), Accept)
    assert len(names.asked) == 3


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "refusing"])
async def test_the_next_address_of_a_name(
    silent: bool, radius: MakeRadius, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked in the same login, and first in the next one."""
    names.addresses[NAME] = ["127.0.0.2", HOST]
    with Forger(says_yes) as forger, socket.socket(type=socket.SOCK_DGRAM) as mute:
        port = int(forger.address.rpartition(":")[2])
        if silent:
            mute.bind(("127.0.0.2", port))
        async with radius(named(forger), seconds=3) as asking:
            for _ in range(2):
                assert isinstance(await asking.authenticate(login()), Accept)
    what = "no answer within 1" if silent else "Connection refused"
    assert caplog.text.count(f"RADIUS server {NAME}: 127.0.0.2:{port}: {what}") == 1


async def test_after_silence_another_socket_is_used(radius: MakeRadius) -> None:
    """A connected socket keeps this machine's own address, which may be why no answer comes."""
    with Forger(says_yes) as forger:
        async with radius(forger.address, seconds=1.5) as asking:
            for _ in range(2):
                await asking.authenticate(login())
            forger.script = says_nothing
            await asking.authenticate(login())
            forger.script = says_yes
            assert isinstance(await after_the_look_up(asking), Accept)
    assert len(set(forger.senders[:3])) == 1
    assert forger.senders[-1] not in forger.senders[:3]


async def test_ipv6(radius: MakeRadius) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 on this machine")
    with Forger(says_yes, "::1") as forger:
        assert await ask(radius(forger.address), login()) == [accepted_by(forger)]


async def test_a_name_that_moves(radius: MakeRadius, names: Names) -> None:
    names.addresses[NAME] = ["127.0.0.2"]
    with Forger(says_yes) as forger:
        async with radius(named(forger)) as asking:
            names.addresses[NAME] = [HOST]
            assert isinstance(await asking.authenticate(login()), Accept)


async def test_a_resolver_that_hangs_delays_no_login(radius: MakeRadius, names: Names) -> None:
    names.addresses[NAME] = [HOST]
    with Forger(says_nothing) as forger:
        async with radius(named(forger), seconds=1.5) as asking:
            names.addresses[NAME] = None
            assert isinstance(await asking.authenticate(login()), Unavailable)
            forger.script = says_yes
            for _ in range(10):
                assert isinstance(await asking.authenticate(login()), Accept)
            names.release()
        assert len(names.asked) == 2


async def test_a_resolver_that_hangs_at_the_start(
    radius: MakeRadius, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    names.addresses[NAME] = None
    with Forger(says_yes) as forger:
        async with radius(named(forger), seconds=1.5) as asking:
            assert TOO_LONG in caplog.text
            late = await asking.authenticate(login())
            assert late == Unavailable(f"{named(forger)}: {TOO_LONG}")
            names.addresses[NAME] = [HOST]
            names.release()
            assert isinstance(await asking.authenticate(login()), Accept)
        assert len(names.asked) == 1


async def test_a_closed_port(radius: MakeRadius, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = f"{HOST}:{free_udp_port()}"
    with Forger(says_yes) as forger:
        first, second = await ask(radius(nowhere), login(), login())
        assert first == second == Unavailable(f"{nowhere}: Connection refused")
        assert caplog.text.count(f"RADIUS server {nowhere} failed: Connection refused") == 1
        assert await ask(radius(nowhere, forger.address), login()) == [accepted_by(forger)]


async def test_leaving_ends_what_is_under_way(radius: MakeRadius, names: Names) -> None:
    names.addresses[NAME] = None
    before = asyncio.all_tasks()
    async with radius("radius.example", seconds=0.2) as asking:
        await asking.authenticate(login())
    assert asyncio.all_tasks() == before
    names.release()


async def after_the_look_up(asking: Radius) -> Decision:
    """The answer once the look-up that a failure began is over."""
    (server,) = asking._servers.values()
    await asyncio.wait([server._host.look_up()], timeout=20)
    return await asking.authenticate(login())


def named(forger: Forger) -> str:
    return f"radius.example:{forger.address.rpartition(':')[2]}"


def accepted_by(forger: Forger) -> Accept:
    return Accept("alice", attributes={"server": forger.address})
