"""How long a refusal takes, at the least: as long as looking takes.

An unknown user costs the directory a bind that fails for want of an entry; a known one costs it a hash, and maybe a
note of the failure. No refusal comes before the floor, which is above both.

Rule 1: only verifications of users that are there count, and each for an hour at least: nobody can lower the floor by
        asking for others.
"""

from __future__ import annotations

import secrets
import time

_LEAST = 0.1
_MARGIN = 1.25
"""Floor = the slowest that was seen x this."""

_BLUR_MICROSECONDS = 10_000
"""Timers and schedulers tell a long sleep from a short one, by some microseconds; so many at random hide it."""

_MEMORY = 3600.0


class Floor:
    """In seconds, and never above `most`."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._slowest = self._slowest_before = 0.0
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        """The floor of now."""
        return min(self._most, max(_LEAST, _MARGIN * max(self._slowest, self._slowest_before)))

    def wait_after(self, seconds: float) -> float:
        """How long a refusal must wait that it took so long to know of."""
        return max(0.0, self.seconds - seconds) + secrets.randbelow(_BLUR_MICROSECONDS) / 1e6

    def saw(self, seconds: float) -> None:
        """A passcode was verified, and it took so long."""
        now = time.monotonic()
        if now - self._since > _MEMORY:
            self._slowest_before, self._slowest, self._since = self._slowest, 0.0, now
        self._slowest = max(self._slowest, seconds)
