"""Rounds of one association each, many at once: brought to its stage, left by one peer, and what came of it checked."""

from __future__ import annotations

import queue
import random
import threading
import time

from dicomgate.association.established import LINGER
from dicomgate.testing.peers.loopback import wait_until
from tests.stamina.authenticators import pending
from tests.stamina.endings import ARTIM, NOBODY, Action, Case, Left, Side, Silence, Stage, Told
from tests.stamina.gateway_under_test import GatewayUnderTest
from tests.stamina.measure import scaled
from tests.stamina.peer import Peer
from tests.stamina.stages import Association

AT_ONCE, SILENT_AT_ONCE = 8, 40  # who is silent costs nothing but time
WORKERS = AT_ONCE + SILENT_AT_ONCE
GRACE = scaled(1.0, 2.0)
"""Seconds behind a deadline, or behind what needs none. The small runs have too busy a machine for one second."""
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
            time.sleep(0.03 * worker)  # nobody's second is to be spent on the beginning of all others
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
                closed = self._under_test.audit.closed(source, GRACE)
                assert closed["cause"] == case.expected.causes[case.side].value, closed
                wait_until(lambda: source not in pending, "the authenticator is asked no more", GRACE)
                assert case.stage is Stage.CONNECTING or association.nobody_came(), "a connection too many to the PACS"
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


def hear(peer: Peer, expected: Told, seconds: float, secured: bool, or_else: Told | None = None) -> None:
    """The peer is told this, or else that, within so many seconds. Raises AssertionError, OSError."""
    if expected.ends:
        received, broken = peer.rest(seconds)
        told = [told for told in (expected, or_else) if told is not None and told.pdu in (received, None)]
        assert told, f"received {received[-16:].hex()!r} instead of {expected.what}"
        assert broken or secured or not told[0].broken, f"an orderly end instead of {expected.what}"
    elif expected.pdu:
        peer.socket.settimeout(seconds)
        received = peer.pdu()
        assert received == expected.pdu, f"received {received.hex()!r} instead of {expected.what}"
