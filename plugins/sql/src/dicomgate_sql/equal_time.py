"""How long a login takes: as long for everybody as for the user with the most expensive hash.

Rule: as in dicomgate_passcode.dummy_hash, and to the floor the usual time of a look-up is added, which hides whether
there is a row. A statement returns one user at a time, so the costs are learnt from login to login.
"""

from __future__ import annotations

import logging
import threading

from dicomgate.kit.equal_time import seconds_left
from dicomgate_passcode import Cost, DummyHash, DummyHashes

_log = logging.getLogger(__name__)

_MEMORY = 16
"""The usual time of a look-up is the moving average of about this many."""

_MARGIN = 1.5
"""For look-ups that take longer than usual."""


class EqualTime:
    """Belongs to one event loop, except `learn`. Raises HashingFailedError when it is made."""

    def __init__(self) -> None:
        self._learning = threading.Lock()
        self._dummies = DummyHashes()
        self._seen: frozenset[Cost] = frozenset()
        self._look_up = 0.0
        self.dummy: DummyHash = self._dummies.costliest(self._seen)

    def is_new(self, cost: Cost) -> bool:
        """True if no hash of this cost was seen before: then call `learn`."""
        new = cost not in self._seen
        self._seen |= {cost}
        return new

    def learn(self) -> None:
        """Choose the dummy hash anew. Takes some verifications; thread-safe. Raises HashingFailedError."""
        with self._learning:
            costliest = self._dummies.costliest(self._seen)
            if costliest.floor <= self.dummy.floor:
                return
            self.dummy = costliest
        _log.info("sql: there are hashes of %s: a login takes %d ms", costliest.scheme, round(costliest.floor * 1000))

    def looked_up(self, seconds: float) -> None:
        """Note how long the database took for an answer."""
        self._look_up += (seconds - self._look_up) / _MEMORY

    def seconds_left(self, start: float) -> float:
        """How long to wait before answering a login that began at `start` (time.monotonic): 0 or more, in seconds."""
        return seconds_left(start, self.dummy.floor + self._look_up * _MARGIN)
