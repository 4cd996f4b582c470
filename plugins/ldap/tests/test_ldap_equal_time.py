"""No refusal comes before the floor, which verified passcodes alone raise."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from dicomgate import Attempt, Decision, Reject
from dicomgate.testing.evidence import WRONG
from dicomgate.testing.peers.slapd import Slapd
from dicomgate_ldap import Ldap
from dicomgate_ldap.directory import Answer
from plugins.ldap.tests.conftest import login

RIGHT, WRONG_ONE = login(), login(secret=WRONG)
UNKNOWN, IMPOSSIBLE = login("zoe"), login("a" * 300)


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
