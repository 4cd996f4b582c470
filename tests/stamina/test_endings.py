"""Either peer leaves, in every way and at every stage: the other is told, one record says why, and nothing stays.

The table of endings.py says what must come of each. A small run tries each of its cells once, with TLS or without. A
full run tries each with both, and then random ones.
"""

import os
import random
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.pacs import Pacs
from dicomgate.testing.fixtures import evidence, gateway, install_authenticator  # noqa: F401 (fixtures)
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.system_gateway import StartGateway
from tests.stamina.endings import Action, Case, Side, Stage, cases
from tests.stamina.gateway_under_test import gateway_under_test
from tests.stamina.measure import FULL, Probe, report
from tests.stamina.rounds import GRACE, WORKERS, Rounds

ROUNDS = 1000
SEED = int(os.environ.get("DICOMGATE_STAMINA_SEED") or secrets.randbelow(1 << 32))


def chosen(chance: random.Random) -> list[Case]:
    """What is played, in the order of chance."""
    every = list(cases())
    if FULL:
        played = every + chance.choices(every, k=ROUNDS - len(every))
    else:
        cells: dict[tuple[Stage, Action, Side], list[Case]] = {}
        for case in every:
            cells.setdefault((case.stage, case.action, case.side), []).append(case)
        # What the client does in TLS the upstream does without, or the other way round.
        turn = {stage: chance.randrange(2) for stage in Stage}
        played = [both[(turn[stage] + (side is Side.CLIENT)) % len(both)] for (stage, _, side), both in cells.items()]
    chance.shuffle(played)
    return played


@pytest.mark.timeout(600)
def test_when_one_leaves_the_other_is_told_and_nothing_stays(
    gateway: StartGateway,  # noqa: F811
    install_authenticator: Callable[[str], str],  # noqa: F811
    pacs: Pacs,
    certificates: Certificates,
) -> None:
    with gateway_under_test(gateway, install_authenticator, certificates, WORKERS, pacs.port) as under_test:
        server, descriptors = under_test.gateway.server, Path("/proc/self/fd")
        rounds = Rounds(under_test, SEED)
        before = len(list(descriptors.iterdir()))
        with Probe(under_test.listeners[False]) as probe:
            rounds.play(chosen(random.Random(SEED)))
            result = probe.stop()
        wait_until(lambda: not server.associations, "the associations ending", GRACE)
        after = len(list(descriptors.iterdir()))
        assert not server._generation.assembly.users.count  # or the authenticators would never be left
    for action, took in rounds.took.items():
        took.sort()
        latest, slowest = took[-1] if took else (0.0, "none")
        report(f"ends: a peer that {action.value}", rounds=len(took), latest=latest, which=slowest)
    report("ends", seed=SEED, failed=len(rounds.failed), probe=result.total, probe_p99_ms=result.p99)
    assert not rounds.failed, "\n".join((f"seed {SEED}", *rounds.failed))
    assert after <= before
    assert result.total >= 10
    assert not result.failed
