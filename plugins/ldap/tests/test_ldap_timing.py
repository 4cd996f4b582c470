"""How long a refusal takes does not tell which users exist.

The passcodes of this directory are hashed at some cost, and wrong ones are counted: an unknown user is quicker by far.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

import pytest

from dicomgate import Accept, Reject
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.slapd import HOSPITAL, LOCKED, Slapd, person, program, run_slapd
from dicomgate.testing.timing import auc
from dicomgate_ldap import Ldap, authenticator
from plugins.ldap.tests.conftest import login

pytestmark = pytest.mark.anyio

EACH = 100
NAMES = {"known": "tim", "unknown": "zoe", "disabled": "tom", "impossible": "x" * 300}


@pytest.fixture(scope="module")
def costly(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Slapd]:
    """A directory in which a verification takes some 20 ms."""
    salt = ("-h", "{CRYPT}", "-c", "$6$rounds=50000$%.16s")
    command = [program("slappasswd"), *salt, "-s", ALICE.decode()]
    hashed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    people = person("tim", passcode=hashed) + person("tom", LOCKED, passcode=hashed)
    with run_slapd(tmp_path_factory.mktemp("costly"), certificates, HOSPITAL + people) as running:
        yield running


async def seconds_of_refusals(slapd: Slapd, each: int, at_once: int) -> dict[str, list[float]]:
    """What each class of wrong logins took, in a random order, some at once, once somebody has logged in."""
    taken: dict[str, list[float]] = defaultdict(list)
    async with Ldap(**slapd.keys(servers=[slapd.tls], connections=2)) as ldap:
        for _ in range(10):
            assert isinstance(await ldap.authenticate(login("tim")), Accept)
        kinds = [kind for kind in NAMES for _ in range(each)]
        random.shuffle(kinds)

        async def refused(kind: str) -> None:
            start = time.perf_counter()
            decision = await ldap.authenticate(login(NAMES[kind], WRONG))
            taken[kind].append(time.perf_counter() - start)
            assert isinstance(decision, Reject)

        for begin in range(0, len(kinds), at_once):
            await asyncio.gather(*map(refused, kinds[begin : begin + at_once]))
    return taken


async def test_refusals_of_all_kinds_take_the_same_time(costly: Slapd) -> None:
    """With so few of each, chance alone moves the figure by 0.04 to either side (one standard deviation)."""
    taken = await seconds_of_refusals(costly, EACH, at_once=6)
    areas = {pair: auc(taken[pair[0]], taken[pair[1]]) for pair in combinations(NAMES, 2)}
    assert all(0.35 < area < 0.65 for area in areas.values()), areas


async def test_without_the_floor_they_do_not(costly: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the directory itself tells them apart, and the measurement sees it."""
    monkeypatch.setattr(authenticator, "seconds_left", lambda *_: 0.0)
    taken = await seconds_of_refusals(costly, 25, at_once=1)
    assert auc(taken["known"], taken["unknown"]) > 0.75
