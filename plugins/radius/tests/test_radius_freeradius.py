"""The authenticator and a real FreeRADIUS, which is stopped, made to hang, and not told what it should be told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dicomgate import Accept, Reject, Unavailable
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate_radius import Radius
from plugins.radius.tests.conftest import MakeRadius, ask, login
from plugins.radius.tests.freeradius import SECRET, FreeRadius

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


async def test_the_server_learns_who_asks_and_for_whom(freeradius: FreeRadius, radius: MakeRadius) -> None:
    asking = radius(freeradius.address, nas_identifier="gate-7")
    asked = login("asked")
    right, without, *wrong = await ask(
        asking,
        asked,
        replace(asked, called_ae_title=""),  # an attribute without a value is not sent
        replace(asked, peer=replace(asked.peer, address="2001:db8::1")),
        replace(asked, called_ae_title="OTHER"),
    )
    assert isinstance(right, Accept)
    assert isinstance(without, Accept)
    told = [decision.reason.partition(": ")[2] for decision in wrong if isinstance(decision, Reject)]
    assert told == ["another Calling-Station-Id", "another Called-Station-Id"]
    (by_default,) = await ask(radius(freeradius.address), asked)
    assert isinstance(by_default, Reject)
    assert "another NAS-Identifier" in by_default.reason


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


async def test_another_shared_secret(freeradius: FreeRadius, radius: MakeRadius, secret_file: Path) -> None:
    secret_file.write_bytes(SECRET[::-1])
    (decision,) = await ask(radius(freeradius.address, seconds=1.5), login())
    assert isinstance(decision, Unavailable)
    assert "another shared secret" in decision.reason
    secret_file.write_bytes(SECRET)
    (right,) = await ask(radius(freeradius.address), login())
    assert isinstance(right, Accept)


async def test_a_rejection_that_is_delayed_is_a_rejection(
    tmp_path: Path, radius: MakeRadius, secret_file: Path
) -> None:
    with FreeRadius(tmp_path / "raddb", reject_delay=1) as server:
        assert await ask(radius(server.address), login("alice", WRONG)) == [Reject(f"{server.address} rejects")]
    as_it_is = Radius(servers=[server.address], secret_file=secret_file)
    assert as_it_is.attempt_timeout > timedelta(seconds=1.5)


async def test_stopped_and_hung_and_back_again(own_freeradius: FreeRadius, radius: MakeRadius) -> None:
    asking = radius(own_freeradius.address, seconds=3)

    async with asking:
        assert isinstance(await asking.authenticate(login()), Accept)
        own_freeradius.stop()
        stopped = await asking.authenticate(login())
        assert stopped == Unavailable(f"{own_freeradius.address}: Connection refused")
        own_freeradius.start()
        assert isinstance(await asking.authenticate(login()), Accept)
        own_freeradius.hang()
        start = time.monotonic()
        hung = await asking.authenticate(login())
        assert isinstance(hung, Unavailable)
        assert "no answer within 3.0 s" in hung.reason
        assert time.monotonic() - start < 10
        own_freeradius.go_on()
        assert isinstance(await asking.authenticate(login()), Accept)


@pytest.mark.parametrize("fault", [FreeRadius.stop, FreeRadius.hang])
async def test_the_next_server_answers(
    own_freeradius: FreeRadius, freeradius: FreeRadius, radius: MakeRadius, fault: Callable[[FreeRadius], None]
) -> None:
    both = radius(own_freeradius.address, freeradius.address, seconds=3)
    (first,) = await ask(both, login())
    assert isinstance(first, Accept)
    assert first.attributes == {"server": own_freeradius.address}
    fault(own_freeradius)
    accepted, rejected = await ask(both, login(), login("alice", WRONG))
    assert accepted == replace(first, attributes={"server": freeradius.address})
    assert rejected == Reject(f"{freeradius.address} rejects")


async def test_a_server_that_hangs_delays_no_other(
    own_freeradius: FreeRadius, freeradius: FreeRadius, radius: MakeRadius
) -> None:
    hung, well = radius(own_freeradius.address, seconds=3), radius(freeradius.address)
    own_freeradius.hang()

    async with hung, well:
        waiting = asyncio.create_task(hung.authenticate(login()))
        answers = [await well.authenticate(login()) for _ in range(20)]
        assert not waiting.done()
        assert all(isinstance(answer, Accept) for answer in answers)
        assert isinstance(await waiting, Unavailable)


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


async def test_nothing_is_left_open(freeradius: FreeRadius, radius: MakeRadius) -> None:
    asking = radius(freeradius.address, f"localhost:{freeradius.port}")

    def sockets() -> set[str]:
        return {link for link in map(_target, Path("/proc/self/fd").iterdir()) if link.startswith("socket:")}

    before, tasks = sockets(), asyncio.all_tasks()
    async with asking:
        await asking.authenticate(login())
        assert len(sockets() - before) >= 2
    assert sockets() <= before
    assert asyncio.all_tasks() == tasks


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:  # closed since it was listed
        return ""
