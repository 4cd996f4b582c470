"""`remember`: a right passcode is not asked about again for so long. tests/kit/test_verified.py has more about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pyrad.packet import AccessAccept, AccessReject, AuthPacket

from dicomgate import Accept, ConfigError, Reject
from dicomgate.testing.evidence import ALICE, WRONG
from plugins.radius.tests.conftest import MakeRadius, login
from plugins.radius.tests.forger import Forger, answer

pytestmark = pytest.mark.anyio
FIVE_MINUTES = timedelta(minutes=5)


def judges(request: AuthPacket) -> list[bytes]:
    right = request.PwDecrypt(request["User-Password"][0]).encode() == ALICE
    return [answer(request, AccessAccept if right else AccessReject)]


def says_no(request: AuthPacket) -> list[bytes]:
    return [answer(request, AccessReject)]


@pytest.mark.parametrize(("remember", "asked"), [(timedelta(0), 2), (FIVE_MINUTES, 1)])
async def test_a_right_passcode_is_asked_about_again_unless_it_is_remembered(
    radius: MakeRadius, remember: timedelta, asked: int
) -> None:
    with Forger(judges) as server:
        async with radius(server.address, remember=remember) as asking:
            for _ in range(2):
                assert isinstance(await asking.authenticate(login()), Accept)
    assert len({request.raw_packet for request in server.requests}) == asked


async def test_what_the_server_might_judge_otherwise_is_asked_about(radius: MakeRadius) -> None:
    """A wrong passcode each time; and the right one from another address, to another AE title, at another server."""
    with Forger(judges) as server, Forger(says_no) as elsewhere:
        async with radius(server.address, remember=FIVE_MINUTES) as asking, radius(elsewhere.address) as other:
            assert isinstance(await asking.authenticate(login()), Accept)
            assert isinstance(await other.authenticate(login()), Reject)
            for _ in range(2):
                assert isinstance(await asking.authenticate(login(secret=WRONG)), Reject)
            assert len({request.raw_packet for request in server.requests}) == 3
            server.script = says_no
            assert isinstance(await asking.authenticate(login()), Accept), "the control: it is remembered"
            moved = replace(login(), peer=replace(login().peer, address="192.0.2.77"))
            assert isinstance(await asking.authenticate(moved), Reject)
            assert isinstance(await asking.authenticate(replace(login(), called_ae_title="OTHER")), Reject)


async def test_it_is_forgotten_with_a_reload(radius: MakeRadius) -> None:
    with Forger(judges) as server:
        async with (asking := radius(server.address, remember=FIVE_MINUTES)):
            assert isinstance(await asking.authenticate(login()), Accept)
        server.script = says_no
        async with asking:
            assert isinstance(await asking.authenticate(login()), Reject)


@pytest.mark.parametrize("remember", [timedelta(seconds=-1), timedelta(days=1, seconds=1)])
def test_no_time_is_less_than_none_or_more_than_a_day(radius: MakeRadius, remember: timedelta) -> None:
    radius("a", remember=timedelta(days=1))
    with pytest.raises(ConfigError, match="remember"):
        radius("a", remember=remember)
