"""The authenticator and a real FreeRADIUS, which is stopped, made to hang, and not told what it should be told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dicomgate import Accept, Probed, Reject, Unavailable
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.freeradius import FreeRadius, free_udp_port
from dicomgate_radius import Radius
from plugins.radius.tests.conftest import MakeRadius, ask, login

pytestmark = pytest.mark.anyio


async def test_accepted_users_and_their_groups(freeradius: FreeRadius, radius: MakeRadius) -> None:
    server = {"server": freeradius.address}
    in_groups = Accept(user="alice", groups=frozenset({"radiology", "ct"}), attributes=server)
    assert await ask(radius(freeradius.address), login("alice"), login("ALICE"), login("nameless")) == [
        in_groups,
        Accept(user="alice", attributes=server),  # what the server calls her, not what was typed
        Accept(user="nameless", attributes=server),
    ]
    both = radius(freeradius.address, group_attributes=("Filter-Id", "Class"))
    assert await ask(both, login()) == [replace(in_groups, groups=frozenset({"radiology", "ct", "staff"}))]
    assert await ask(radius(freeradius.address, group_attributes=()), login()) == [
        replace(in_groups, groups=frozenset())
    ]


async def test_rejected_users(freeradius: FreeRadius, radius: MakeRadius) -> None:
    name = freeradius.address
    assert await ask(radius(name), login("alice", WRONG), login("bob"), login("bob\\'%{x}")) == [
        Reject(f"{name} rejects"),
        Reject(f'{name} rejects: who is "bob"?'),
        Reject(f'{name} rejects: who is "bob\\\'%{{x}}"?'),
    ]


async def test_passcodes_at_the_limits(freeradius: FreeRadius, radius: MakeRadius) -> None:
    longest = b"l" * 128
    attempts = [login("longest", longest), login("longest", longest + b"l"), login("alice", ALICE + b"\0")]
    accepted, too_long, padded, empty = await ask(radius(freeradius.address), *attempts, login("alice", b""))
    assert isinstance(accepted, Accept)
    assert too_long == Reject("the passcode is longer than the 128 bytes of RADIUS")
    assert padded == Reject("a passcode with a NUL")  # asked, it would have been accepted
    assert empty == Reject("empty passcode")


@pytest.mark.parametrize("name", [b"", b"a" * 254, b"\xff", "a\u200bb".encode()])
async def test_names_refused_without_asking(freeradius: FreeRadius, radius: MakeRadius, name: bytes) -> None:
    asked, refused = await ask(radius(freeradius.address), login("a" * 253), login(name))
    assert isinstance(asked, Reject)
    assert "who is" in asked.reason
    assert isinstance(refused, Reject)
    assert "username" in refused.reason


async def test_a_server_that_signs_nothing_is_ignored(tmp_path: Path, radius: MakeRadius) -> None:
    with FreeRadius(tmp_path / "raddb", signs=False) as server:
        for decision in await ask(radius(server.address, seconds=1.5), login(), login("alice", WRONG)):
            assert isinstance(decision, Unavailable)
            assert "no Message-Authenticator" in decision.reason


async def test_a_rejection_that_is_delayed_is_a_rejection(
    tmp_path: Path, radius: MakeRadius, secret_file: Path
) -> None:
    with FreeRadius(tmp_path / "raddb", reject_delay=1) as server:
        assert await ask(radius(server.address), login("alice", WRONG)) == [Reject(f"{server.address} rejects")]
    as_it_is = Radius(servers=[server.address], secret_file=secret_file)
    assert as_it_is.attempt_timeout > timedelta(seconds=1.5)


async def test_more_at_once_than_there_are_identifiers(own_freeradius: FreeRadius, radius: MakeRadius) -> None:
    asking = radius(own_freeradius.address, seconds=2)

    async with asking, asyncio.timeout(60):
        own_freeradius.hang()
        decisions = await asyncio.gather(*(asking.authenticate(login()) for _ in range(300)))
        reasons = [decision.reason for decision in decisions if isinstance(decision, Unavailable)]
        assert len(reasons) == 300
        assert len([reason for reason in reasons if "too many" in reason]) == 300 - 256
        assert len([reason for reason in reasons if "no answer" in reason]) == 256
        own_freeradius.go_on()
        # What it was asked meanwhile it answers now: to a socket that is closed.
        while not isinstance(await asking.authenticate(login()), Accept):
            pass
        decisions = await asyncio.gather(
            *(asking.authenticate(login("alice", secret)) for secret in (ALICE, WRONG) * 30)
        )
        assert all(isinstance(decision, Accept) for decision in decisions[::2])
        assert all(isinstance(decision, Reject) for decision in decisions[1::2])


async def test_a_probe_asks_for_the_status_and_logs_nobody_in(freeradius: FreeRadius, radius: MakeRadius) -> None:
    closed = f"127.0.0.1:{free_udp_port()}"
    async with radius(freeradius.address, closed, seconds=4) as authenticator:
        up, down = await authenticator.probe()
    assert up == Probed(f"RADIUS server {freeradius.address}", detail="answers Status-Server")
    assert down.what == f"RADIUS server {closed}"
    assert "refused" in down.problem
    assert "RFC 5997" in down.problem
