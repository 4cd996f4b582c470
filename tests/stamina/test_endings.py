"""Either peer leaves, in every way and at every stage: the other is told, one record says why, and nothing stays.

The table of endings.py says what must come of each. A small run tries each of its cells once, with TLS or without. A
full run tries each with both, and then random ones.
"""

from __future__ import annotations

import os
import queue
import random
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.pacs import Pacs
from dicomgate.association.established import LINGER
from dicomgate.events.events import Cause
from dicomgate.testing.fixtures import gateway, install_authenticator  # noqa: F401 (fixtures)
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.system_gateway import StartGateway
from tests.stamina.authenticators import pending
from tests.stamina.endings import ARTIM, NOBODY, Action, Case, Left, Side, Silence, Stage, cases
from tests.stamina.gateway_under_test import GatewayUnderTest, gateway_under_test
from tests.stamina.measure import FULL, Probe, report
from tests.stamina.peer import GRACE, hear
from tests.stamina.stages import Association

AT_ONCE, SILENT_AT_ONCE = 8, 40  # those that are silent cost nothing but time
WORKERS = AT_ONCE + SILENT_AT_ONCE
_EARLY = 1.0  # seconds by which a deadline may have begun before its stage was reached


class Rounds:
    """Plays cases. `failed` says which of them failed, and why; `took` how long the others took, and which."""

    def __init__(self, under_test: GatewayUnderTest, seed: int) -> None:
        self.failed: list[str] = []
        self.took: dict[Action, list[tuple[float, str]]] = {action: [] for action in Action}
        self._under_test = under_test
        self._seed = seed
        self._numbers = iter(range(250 * 250))

    def play(self, cases: list[Case]) -> None:
        """Play them all."""
        quick, silent = queue.SimpleQueue[Case](), queue.SimpleQueue[Case]()
        for case in cases:
            (silent if case.action is Action.SILENT else quick).put(case)

        def work(worker: int) -> None:
            mine = quick if worker < AT_ONCE else silent
            time.sleep(0.03 * worker)  # no second of a deadline may be spent on the beginning of the others
            while not mine.empty():
                try:
                    case = mine.get_nowait()
                except queue.Empty:  # another worker was faster
                    return
                self._play(case, worker)

        workers = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _play(self, case: Case, worker: int) -> None:
        number = next(self._numbers)
        source = f"127.1.{number // 250}.{number % 250 + 1}"
        chance = random.Random(f"{self._seed} {number}")
        not_connected = case.stage is Stage.CONNECTING and case.side is Side.UPSTREAM
        try:
            with Association(case.side, self._under_test.way(worker, case.secured), source, chance) as association:
                association.reach(case.stage, reachable=not (not_connected and case.action is Action.RESET))
                time.sleep(chance.choice((0, 0, 0.001, 0.02)))
                if isinstance(case.expected, Left):
                    association.leave(case.action)
                    took = _check_left(association, case.expected, case.secured)
                else:
                    took = _check_silence(association, case.expected, case.secured)
                cause = case.expected.causes[case.side]
                if cause is not Cause.NOTHING_SENT:
                    closed = self._under_test.audit.closed(source, GRACE)
                    assert closed["cause"] == cause.value, closed
                wait_until(lambda: source not in pending, "the authenticator is asked no more", GRACE)
                assert case.stage is Stage.CONNECTING or association.none_came(), "a connection too many to the PACS"
            self.took[case.action].append((took, str(case)))
        except Exception as error:  # noqa: BLE001 (every round is played)
            self.failed.append(f"{case} (round {number}): {error!r}")


def _check_left(association: Association, expected: Left, secured: bool) -> float:
    """It has left: the other is told, and closes; how long that took, less the deadline that it may await."""
    began = time.monotonic()
    if expected.other is not NOBODY:
        hear(association.other, expected.other, expected.more + GRACE, secured, expected.or_else)
        association.other.close()
    return time.monotonic() - began - expected.more


def _check_silence(association: Association, expected: Silence, secured: bool) -> float:
    """It says nothing, and does not close either: how much later than the deadline it and the other were told."""
    began, told = time.monotonic(), 0.0
    last = began + expected.deadline + GRACE
    if expected.other is not NOBODY:
        hear(association.other, expected.other, last - time.monotonic(), secured)
        told = time.monotonic() - began
        association.other.close()
    if expected.itself is not NOBODY:
        hear(association.it, expected.itself, last - time.monotonic(), secured)
        told = told or time.monotonic() - began
        if not expected.itself.ends:
            assert association.it.rest(ARTIM + GRACE)[0] == b""
        association.it.wait_until_let_go(LINGER + GRACE)
    assert told >= expected.deadline - _EARLY, f"told after {told:.3f} s"
    return told - expected.deadline


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
        assert not server._generation.assembly.uses.count  # or the authenticators would never be left
    for action, took in rounds.took.items():
        took.sort()
        latest, slowest = took[-1] if took else (0.0, "none")
        report(f"ends: a peer that {action.value}", rounds=len(took), latest=latest, which=slowest)
    report("ends", seed=SEED, failed=len(rounds.failed), probe=result.total, probe_p99_ms=result.p99)
    assert not rounds.failed, "\n".join((f"seed {SEED}", *rounds.failed))
    assert after <= before
    assert result.total >= 10
    assert not result.failed
