"""The hash that is verified where there is none, so that a login takes as long for unknown users as for known ones.

Rule 1: where there is no hash to verify (unknown user, disabled user, a passcode that cannot be right), a dummy hash
        with the costliest parameters in the file is verified instead: the same work, so the same time under any load.
Rule 2: no answer comes before the dummy's floor, which hides the difference between cheap and expensive hashes.
Rule 3: dummies are made and measured when the file is loaded: the first login is no slower than the second.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from .hashing import DEFAULT_MEMORY_KIB, DEFAULT_PASSES, LONGEST_PASSCODE, Cost, cannot_be_right, make_hash, verify

_MARGIN = 1.25
"""Floor = measured time x this: verifications vary on a machine that does other work as well."""

_RUNS = 3

DEFAULT_COST = Cost("argon2id", DEFAULT_PASSES, DEFAULT_MEMORY_KIB, lanes=1)


@dataclass(frozen=True, slots=True)
class DummyHash:
    """A hash of a random passcode. No login may be answered within `floor` seconds (`dicomgate.kit.equal_time`)."""

    scheme: str
    hash: str = field(repr=False)
    floor: float

    def what_is_wrong(self, passcode: bytes, text: str, cost: Cost | None) -> str:
        """Why the passcode is not that of the hash `text`, for the log; "" if it is. No `cost`: there is no such hash.

        Takes one verification, whatever is answered. Raises HashingFailedError.
        """
        refusal = "no readable hash" if cost is None else cannot_be_right(passcode, cost.scheme)
        if refusal:
            self.verify(passcode)
            return refusal
        return "" if verify(passcode, text) else "wrong passcode"

    def verify(self, passcode: bytes) -> None:
        """Spend the time of a verification. Raises HashingFailedError, as a real one does."""
        # The time of sha-crypt depends on the length, so the passcode itself is verified wherever the scheme takes it.
        verify(b"dummy" if cannot_be_right(passcode, self.scheme) else passcode, self.hash)


class DummyHashes:
    """Dummy hashes by cost, each made and measured once. Not thread-safe."""

    def __init__(self) -> None:
        self._of = cache(_make)

    def costliest(self, costs: Iterable[Cost]) -> DummyHash:
        """The slowest dummy of these costs; of the default argon2id if there are none. Raises HashingFailedError."""
        candidates: dict[tuple[str, int], Cost] = {}
        for cost in costs:
            # Within a scheme the parameters decide. Only the clock can compare schemes with each other.
            kind = cost.scheme, cost.lanes
            if kind not in candidates or _work(cost) > _work(candidates[kind]):
                candidates[kind] = cost
        return max((self._of(cost) for cost in candidates.values() or [DEFAULT_COST]), key=lambda dummy: dummy.floor)


def _work(cost: Cost) -> int:
    return cost.rounds * max(cost.memory_kib, 1)


def _make(cost: Cost) -> DummyHash:
    text = make_hash(secrets.token_hex(16).encode(), cost)
    longest = b"x" * LONGEST_PASSCODE[cost.scheme]
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        verify(longest, text)
        times.append(time.perf_counter() - start)
    # The shortest: the other runs were measured while the machine did something else as well.
    return DummyHash(cost.scheme, text, floor=min(times) * _MARGIN)
