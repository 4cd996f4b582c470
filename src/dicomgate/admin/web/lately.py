"""What is recorded once in fifteen minutes: a script that logs in each second is one record, and not nine hundred."""

from __future__ import annotations

import time

FOR = 15 * 60.0
"""Seconds."""
MOST = 1024
"""Things that are remembered at a time. One more makes the oldest forgotten."""


class Lately:
    """What was recorded lately. For one thread."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def is_new(self, what: str) -> bool:
        """True if it is to be recorded now; then not again for a while."""
        now = time.monotonic()
        if self._until.get(what, 0.0) > now:
            return False
        self._until.pop(what, None)
        if len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[what] = now + FOR
        return True
