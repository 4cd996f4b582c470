"""Several servers, their names and addresses: who is asked, when, and what is remembered."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyrad.packet import AccessReject, AuthPacket

from dicomgate import Accept, Decision, Reject, Unavailable
from dicomgate.testing.peers.loopback import HOST
from dicomgate_radius import Radius, servers
from plugins.radius.tests.conftest import ask, login
from plugins.radius.tests.forger import Forger, answer
from plugins.radius.tests.freeradius import free_udp_port

MakeRadius = Callable[..., Radius]


def says_yes(request: AuthPacket) -> list[bytes]:
    return [answer(request)]


def says_no(request: AuthPacket) -> list[bytes]:
    return [answer(request, AccessReject)]


def says_nothing(request: AuthPacket) -> list[bytes]:
    return []


def asked(forger: Forger) -> int:
    """How many questions came; a request that is sent again is the same question."""
    return len({request.raw_packet for request in forger.requests})


def test_a_rejection_is_not_taken_elsewhere(radius: MakeRadius) -> None:
    with Forger(says_no) as first, Forger(says_yes) as second:
        assert ask(radius(first.address, second.address), login()) == [Reject(f"{first.address} rejects")]
        assert ask(radius(second.address, first.address), login())[0] == Accept("alice", attributes=_by(second))
    assert asked(first) == asked(second) == 1


def test_one_that_is_silent_is_asked_last_for_a_while(radius: MakeRadius, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dicomgate_radius")
    answers = [says_nothing]
    with Forger(lambda request: answers[0](request)) as first, Forger(says_yes) as second:
        asking = radius(first.address, second.address, seconds=3)

        async def story() -> None:
            async with asking:
                decisions = [await asking.authenticate(login()) for _ in range(5)]
                assert decisions == [Accept("alice", attributes=_by(second))] * 5
                assert asked(first) == 1
                answers[0] = says_yes
                assert await asking.authenticate(login()) == decisions[0]
                asking._servers._all[0].silent_until = 0.0  # the while is over
                for _ in range(2):
                    assert await asking.authenticate(login()) == Accept("alice", attributes=_by(first))

        asyncio.run(story())
    changes = [record.message for record in caplog.records if record.name == servers.__name__]
    assert len(changes) == 2
    assert f"{first.address}: no answer within 1.5 s" in changes[0]
    assert changes[1] == f"RADIUS server {first.address} answers again"


def test_one_login_alone_tries_a_server_again(radius: MakeRadius) -> None:
    with Forger(says_nothing) as first, Forger(says_yes) as second:
        asking = radius(first.address, second.address, seconds=3)

        async def story() -> None:
            async with asking:
                await asking.authenticate(login())
                asking._servers._all[0].silent_until = 0.0
                await asyncio.gather(*(asking.authenticate(login()) for _ in range(10)))

        asyncio.run(story())
    assert asked(first) == 2
    assert asked(second) == 11


def test_one_that_is_busy_is_not_silent(radius: MakeRadius) -> None:
    with Forger(says_nothing) as first, Forger(says_yes) as second:
        asking = radius(first.address, second.address)

        async def story() -> None:
            async with asking:
                waiting = [asyncio.create_task(asking.authenticate(login())) for _ in range(256)]
                one_more = asyncio.create_task(asking.authenticate(login()))
                assert await one_more == Accept("alice", attributes=_by(second))
                busy, _ = asking._servers._all
                assert not busy._silent
                for one in waiting:
                    one.cancel()
                await asyncio.wait(waiting)
                asked_again = asyncio.create_task(asking.authenticate(login()))
                await asyncio.sleep(0.2)
                assert not asked_again.done()  # those who gave up have left their places
                asked_again.cancel()
                await asyncio.wait([asked_again])

        asyncio.run(story())
    assert asked(second) == 1


def test_all_are_asked_if_none_answered(radius: MakeRadius) -> None:
    answers = [says_nothing]
    with Forger(says_nothing) as first, Forger(lambda request: answers[0](request)) as second:
        asking = radius(first.address, second.address, seconds=3)

        async def story() -> None:
            async with asking:
                neither = await asking.authenticate(login())
                assert isinstance(neither, Unavailable)
                assert neither.reason.count("no answer within 1.5 s") == 2
                answers[0] = says_yes
                assert isinstance(await asking.authenticate(login()), Accept)

        asyncio.run(story())


class Names:
    """What the resolver says of `radius.example`; "wait" lets it hang until the end of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[str] = []
        self.looked_up = 0
        self.hangs = False
        self.over = threading.Event()
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: Any, port: Any, *arguments: Any, **options: Any) -> list[Any]:
        if host != "radius.example":
            return self._real(host, port, *arguments, **options)
        self.looked_up += 1
        if self.hangs:
            self.over.wait(20)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (address, port)) for address in self.addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Any:
    names = Names(monkeypatch)
    yield names
    names.over.set()


def test_a_name_that_is_not_known_yet(radius: MakeRadius, names: Names, caplog: pytest.LogCaptureFixture) -> None:
    with Forger(says_yes) as forger:
        name = _named(forger)
        asking = radius(name)

        async def story() -> None:
            async with asking:
                assert f"{name} cannot be asked yet: Name or service not known" in caplog.text
                assert await asking.authenticate(login()) == Unavailable(f"{name}: Name or service not known")
                names.addresses = [HOST]
                assert isinstance(await asking.authenticate(login()), Accept)
                assert isinstance(await asking.authenticate(login()), Accept)

        asyncio.run(story())
    assert names.looked_up == 3


def test_the_next_address_of_a_name(radius: MakeRadius, names: Names) -> None:
    names.addresses = ["127.0.0.2", HOST]
    with Forger(says_yes) as forger:
        asking = radius(_named(forger))

        async def story() -> None:
            async with asking:
                first = await asking.authenticate(login())
                assert isinstance(first, Unavailable)
                assert "Connection refused" in first.reason
                decisions = [await _soon(asking), await asking.authenticate(login())]
                assert all(isinstance(decision, Accept) for decision in decisions)

        asyncio.run(story())


def test_after_silence_from_another_socket(radius: MakeRadius) -> None:
    """A connected socket keeps this machine's own address, which may be why nobody answers."""
    answers = [says_yes]
    with Forger(lambda request: answers[0](request)) as forger:
        asking = radius(forger.address, seconds=1.5)

        async def story() -> None:
            async with asking:
                await asking.authenticate(login())
                await asking.authenticate(login())
                answers[0] = says_nothing
                await asking.authenticate(login())
                answers[0] = says_yes
                assert isinstance(await _soon(asking), Accept)

        asyncio.run(story())
    assert len(set(forger.senders[:3])) == 1
    assert forger.senders[-1] not in forger.senders[:3]


def test_ipv6(radius: MakeRadius) -> None:
    if not Path("/proc/net/if_inet6").exists():
        pytest.skip("no IPv6 on this machine")
    with Forger(says_yes, "::1") as forger:
        assert ask(radius(forger.address), login()) == [Accept("alice", attributes=_by(forger))]


def test_a_name_that_moves(radius: MakeRadius, names: Names) -> None:
    names.addresses = ["127.0.0.2"]
    with Forger(says_yes) as forger:
        asking = radius(_named(forger))

        async def story() -> None:
            async with asking:
                names.addresses = [HOST]
                assert isinstance(await asking.authenticate(login()), Unavailable)
                assert isinstance(await _soon(asking), Accept)

        asyncio.run(story())


def test_a_resolver_that_hangs_is_in_nobodys_way(radius: MakeRadius, names: Names) -> None:
    answers = [says_nothing]
    names.addresses = [HOST]
    with Forger(lambda request: answers[0](request)) as forger:
        asking = radius(_named(forger), seconds=1.5)

        async def story() -> None:
            async with asking:
                names.hangs = True
                assert isinstance(await asking.authenticate(login()), Unavailable)
                answers[0] = says_yes
                for _ in range(10):
                    assert isinstance(await asking.authenticate(login()), Accept)
                names.over.set()
            assert names.looked_up == 2

        asyncio.run(story())


def test_a_resolver_that_hangs_at_the_start(radius: MakeRadius, names: Names, caplog: pytest.LogCaptureFixture) -> None:
    names.hangs, names.addresses = True, [HOST]
    with Forger(says_yes) as forger:
        asking = radius(_named(forger), seconds=1.5)

        async def story() -> None:
            async with asking:
                assert "looking up its name takes too long" in caplog.text
                late = await asking.authenticate(login())
                assert late == Unavailable(f"{_named(forger)}: looking up its name takes too long")
                names.over.set()
                assert isinstance(await asking.authenticate(login()), Accept)
            assert names.looked_up == 1

        asyncio.run(story())


def test_a_port_that_nobody_listens_on(radius: MakeRadius, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = f"{HOST}:{free_udp_port()}"
    with Forger(says_yes) as forger:
        first, second = ask(radius(nowhere), login(), login())
        assert first == second == Unavailable(f"{nowhere}: Connection refused")
        assert caplog.text.count(f"RADIUS server {nowhere}: Connection refused") == 1
        assert ask(radius(nowhere, forger.address), login()) == [Accept("alice", attributes=_by(forger))]


def test_leaving_ends_what_is_under_way(radius: MakeRadius, names: Names) -> None:
    names.hangs = True

    async def story() -> None:
        asking = radius("radius.example", seconds=0.2)
        async with asking:
            await asking.authenticate(login())
        assert asyncio.all_tasks() == {asyncio.current_task()}
        names.over.set()

    asyncio.run(story())


async def _soon(asking: Radius) -> Decision:
    """The answer once the look-up that a failure began is over."""
    (one,) = asking._servers._all
    await asyncio.wait([one.server._beginning], timeout=20)
    return await asking.authenticate(login())


def _named(forger: Forger) -> str:
    return f"radius.example:{forger.address.rpartition(':')[2]}"


def _by(forger: Forger) -> dict[str, str]:
    return {"server": forger.address}
