"""How long a refusal takes at least: as long as a verification.

An unknown user costs the directory a bind that fails for want of an entry; a known one costs it a hash, and perhaps a
record of the failure. No refusal comes before the floor, which is above both.

Rule 1: only verifications against entries that exist count, and each for at least an hour: nobody can lower the floor
        by asking for other names.
"""

from __future__ import annotations

import time

LEAST = 0.1
MARGIN = 1.25
"""The floor is the slowest verification seen, times this."""

BLUR = 0.01
"""Seconds, up to which a refusal is delayed at random: schedulers do not treat long and short sleeps quite alike."""

_MEMORY = 3600.0


class Floor:
    """In seconds, and never above `most`."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._slowest = self._slowest_before = 0.0
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        """The least time that a refusal takes now."""
        return min(self._most, max(LEAST, MARGIN * max(self._slowest, self._slowest_before)))

    def saw(self, seconds: float) -> None:
        """A verification took so long."""
        now = time.monotonic()
        if now - self._since > _MEMORY:
            self._slowest_before, self._slowest, self._since = self._slowest, 0.0, now
        self._slowest = max(self._slowest, seconds)
