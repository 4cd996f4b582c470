"""What is recorded once in fifteen minutes.

A script that logs in each second is one record in that time, and not nine hundred.
"""

from __future__ import annotations

import time

PERIOD = 15 * 60.0
"""Seconds."""
MOST = 1024
"""Things that are remembered at a time. One more makes the oldest forgotten."""


class Repeats:
    """What was recorded lately. For one thread."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def is_new(self, what: str, *, by_anybody: bool = False) -> bool:
        """True if it must be recorded now. Then it is False for fifteen minutes.

        What is done `by_anybody`, who may have many addresses, is not recorded while there is no room for it.
        """
        now = time.monotonic()
        if self._until.get(what, 0.0) > now:
            return False
        self._until.pop(what, None)
        if len(self._until) >= MOST:
            oldest = next(iter(self._until))
            if by_anybody and self._until[oldest] > now:
                return False
            del self._until[oldest]
        self._until[what] = now + PERIOD
        return True
