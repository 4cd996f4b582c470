"""No refusal comes before the floor, and the floor is above the slowest verification of the last hour."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from dicomgate import Attempt, Decision, Reject
from dicomgate.testing.evidence import WRONG
from dicomgate.testing.peers.slapd import Slapd
from dicomgate_ldap import Ldap, equal_time
from dicomgate_ldap.directory import Answer
from dicomgate_ldap.equal_time import Floor
from plugins.ldap.tests.conftest import login

RIGHT, WRONG_ONE = login(), login(secret=WRONG)
UNKNOWN, IMPOSSIBLE = login("zoe"), login("a" * 300)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(equal_time, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_it_is_above_the_slowest_verification(clock: SimpleNamespace) -> None:
    floor = Floor(most=10.0)
    for seen, seconds in ((0.01, 0.1), (0.4, 0.5), (0.2, 0.5)):
        floor.saw(seen)
        assert floor.seconds == pytest.approx(seconds)


def test_it_ends_somewhere(clock: SimpleNamespace) -> None:
    floor = Floor(most=0.75)
    floor.saw(5.0)
    assert floor.seconds == 0.75
    assert Floor(most=0.05).seconds == 0.05


def test_it_forgets_after_an_hour_and_not_before(clock: SimpleNamespace) -> None:
    """Nor sooner after many quick ones: whoever can cause those must not lower it."""
    floor = Floor(most=10.0)
    floor.saw(0.8)
    for _ in range(3600):
        clock.now += 1
        floor.saw(0.2)
        assert floor.seconds == pytest.approx(1.0)
    for _ in range(7200):
        clock.now += 1
        floor.saw(0.2)
    assert floor.seconds == pytest.approx(0.25)


@pytest.mark.anyio
async def test_a_refusal_waits_for_the_floor(slapd: Slapd) -> None:
    async with Ldap(**slapd.keys(deadline=timedelta(seconds=4))) as ldap:
        assert await seconds_of(ldap, WRONG_ONE) >= 0.1
        ldap._floor.saw(0.8)
        waits = [await seconds_of(ldap, WRONG_ONE) for _ in range(3)]
        assert all(1.0 <= wait < 2.0 for wait in waits)
        assert len(set(waits)) == 3  # a little at random
        assert await seconds_of(ldap, RIGHT) < 0.99
        ldap._floor.saw(60.0)
        assert 2.0 <= await seconds_of(ldap, WRONG_ONE) < 4.5


@pytest.mark.anyio
async def test_the_wait_ends_with_the_deadline(slapd: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that waited long for a free connection does not wait for the whole floor as well."""
    ldap = Ldap(**slapd.keys(deadline=timedelta(seconds=2)))
    ldap._floor.saw(60.0)
    late = Answer(refusal="wrong passcode", known=True)

    async def asked_late(question: object) -> tuple[str, Answer]:
        time.sleep(1.6)
        return "it", replace(late, began=time.monotonic())

    monkeypatch.setattr(ldap, "_servers", lambda: SimpleNamespace(ask=asked_late))
    assert 1.99 < await seconds_of(ldap, WRONG_ONE) < 2.4


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("attempts", "raises"), [((RIGHT,), True), ((WRONG_ONE,), True), ((UNKNOWN, IMPOSSIBLE), False)]
)
async def test_only_verified_passcodes_raise_the_floor(
    slapd: Slapd, attempts: tuple[Attempt, ...], raises: bool
) -> None:
    async with Ldap(**slapd.keys()) as ldap:
        for one in attempts:
            await ldap.authenticate(one)
        assert (ldap._floor._slowest > 0) is raises


async def seconds_of(ldap: Ldap, one: Attempt) -> float:
    start = time.monotonic()
    decision: Decision = await ldap.authenticate(one)
    assert isinstance(decision, Reject) is (one is not RIGHT)
    return time.monotonic() - start
