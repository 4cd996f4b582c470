"""How long a login takes: as long for everybody as for the user whose hash costs most.

Rule 1: where there is no hash to verify (unknown user, disabled user, a passcode that cannot be right), a dummy hash of
        the costliest parameters seen is verified instead.
Rule 2: no answer comes before the dummy's floor and the usual time of a look-up, so that neither a cheap hash nor a
        row that is there shows.

A statement tells of one user at a time, so what hashes there are is learnt from login to login.
"""

from __future__ import annotations

import logging
import threading

from dicomgate.kit.equal_time import seconds_left
from dicomgate_passcode import Cost, DummyHash, DummyHashes

_log = logging.getLogger(__name__)

_MEMORY = 16
"""The usual time of a look-up is the mean of about so many."""

_MARGIN = 1.5
"""Room for the look-ups that take longer than usual."""


class Pace:
    """Belongs to an event loop, but for `learn`. Raises HashingFailedError when it is made."""

    def __init__(self) -> None:
        self._learning = threading.Lock()
        self._dummies = DummyHashes()
        self._seen: frozenset[Cost] = frozenset()
        self._look_up = 0.0
        self.dummy: DummyHash = self._dummies.costliest(self._seen)

    def is_new(self, cost: Cost) -> bool:
        """True if no hash of this cost was seen before: `learn` is to be called."""
        new = cost not in self._seen
        self._seen |= {cost}
        return new

    def learn(self) -> None:
        """Choose the dummy anew. Takes some verifications; thread-safe. Raises HashingFailedError."""
        with self._learning:
            costliest = self._dummies.costliest(self._seen)
            if costliest.floor <= self.dummy.floor:
                return
            self.dummy = costliest
        _log.info("sql: there are hashes of %s: a login takes %d ms", costliest.scheme, round(costliest.floor * 1000))

    def looked_up(self, seconds: float) -> None:
        """Take note of how long the database took for an answer."""
        self._look_up += (seconds - self._look_up) / _MEMORY

    def seconds_left(self, start: float) -> float:
        """How long to wait yet with the answer to a login that began at `start`, by time.monotonic: 0 or more."""
        return seconds_left(start, self.dummy.floor + self._look_up * _MARGIN)
