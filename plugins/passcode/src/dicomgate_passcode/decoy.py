"""How long a login takes: as long as the most expensive one in the file, for everybody.

Rule 1: where there is no hash to verify (unknown user, disabled user, a passcode that cannot be right), a decoy of
        the costliest parameters in the file is verified instead: the same work, so the same time under any load.
Rule 2: no answer comes before the floor, which hides the difference between cheap and expensive hashes.
Rule 3: decoys are made and measured when the file is loaded. The first login is not slower than the second.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from .hashing import DEFAULT_MEMORY_KIB, DEFAULT_PASSES, LONGEST_PASSCODE, Cost, cannot_be_right, make_hash, verify

_MARGIN = 1.25
"""Floor = measured time x this: room for the scatter of a verification on a machine that is not idle."""

_BLUR_MICROSECONDS = 2000
"""Who has slept long wakes up some microseconds sooner or later than who has slept a little; up to two milliseconds at
random hide it."""

_RUNS = 3

DEFAULT_COST = Cost("argon2id", DEFAULT_PASSES, DEFAULT_MEMORY_KIB, lanes=1)


@dataclass(frozen=True, slots=True)
class Decoy:
    """A hash of a passcode that nobody knows. `floor` is the least time that a login takes, in seconds."""

    scheme: str
    hash: str = field(repr=False)
    floor: float

    def verify(self, passcode: bytes) -> None:
        """Spend the time of a verification. Raises HashingFailedError, as the real one does."""
        # The time of sha-crypt depends on the length: the decoy gets the passcode itself wherever it can.
        verify(b"decoy" if cannot_be_right(passcode, self.scheme) else passcode, self.hash)

    def seconds_left(self, start: float) -> float:
        """How long to wait yet with the answer to a login that began at `start`, by time.monotonic: 0 or more."""
        blur = secrets.randbelow(_BLUR_MICROSECONDS) / 1e6
        return max(0.0, start + self.floor + blur - time.monotonic())


class Decoys:
    """Decoys by cost, each made and measured once. Not thread-safe: its owner reloads one file at a time."""

    def __init__(self) -> None:
        self._by_cost: dict[Cost, Decoy] = {}

    def costliest(self, costs: Iterable[Cost]) -> Decoy:
        """The decoy that takes the longest among these costs; the default argon2id if there are none."""
        candidates: dict[tuple[str, int], Cost] = {}
        for cost in costs:
            # Costs of one scheme are compared by their numbers, schemes with one another only by the clock.
            kind = cost.scheme, cost.lanes
            if kind not in candidates or _work(cost) > _work(candidates[kind]):
                candidates[kind] = cost
        return max((self._decoy(cost) for cost in candidates.values() or [DEFAULT_COST]), key=lambda decoy: decoy.floor)

    def _decoy(self, cost: Cost) -> Decoy:
        if cost not in self._by_cost:
            self._by_cost[cost] = _make(cost)
        return self._by_cost[cost]


def _work(cost: Cost) -> int:
    return cost.rounds * max(cost.memory_kib, 1)


def _make(cost: Cost) -> Decoy:
    text = make_hash(secrets.token_hex(16).encode(), cost)
    longest = b"x" * LONGEST_PASSCODE[cost.scheme]
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        verify(longest, text)
        times.append(time.perf_counter() - start)
    # The least of them: the others were measured while the machine did something else as well.
    return Decoy(cost.scheme, text, floor=min(times) * _MARGIN)
