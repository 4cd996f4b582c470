"""No refusal sooner than a verification takes: how long an answer took must not tell which users exist."""

from __future__ import annotations

import secrets
import time

BLUR = 0.002
"""Seconds. Long sleeps wake with a different jitter than short ones; a random delay of up to this hides it."""


LEAST_FLOOR = 0.1
"""Seconds of a floor that is measured, before anything was."""
FLOOR_MARGIN = 1.25
"""A measured floor is the slowest verification seen, times this."""
_MEMORY = 3600.0


def seconds_left(start: float, floor: float, blur: float = BLUR) -> float:
    """How long to wait before answering a login: 0 or more, in seconds.

    The login began at `start` (time.monotonic). The answer comes `floor` seconds after that at the earliest, plus up to
    `blur` seconds at random.
    """
    return max(0.0, start + floor + secrets.randbelow(round(blur * 1e6)) / 1e6 - time.monotonic())


class MeasuredFloor:
    """The least time of a refusal where somebody else verifies: above the slowest verification seen, at most `most`.

    Count only verifications of users that exist. Each counts for at least an hour, so nobody can lower the floor by
    asking for other names. All times are in seconds.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self._slowest = self._slowest_before = 0.0
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        """The least time that a refusal takes now."""
        return min(self._most, max(LEAST_FLOOR, FLOOR_MARGIN * max(self._slowest, self._slowest_before)))

    def saw(self, seconds: float) -> None:
        """A verification took so long."""
        now = time.monotonic()
        if now - self._since > _MEMORY:
            self._slowest_before, self._slowest, self._since = self._slowest, 0.0, now
        self._slowest = max(self._slowest, seconds)
