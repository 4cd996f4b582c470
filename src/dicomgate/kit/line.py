"""A waiting line for a few places: in the order of arrival, one of each source at a time.

After a power cut all devices of a hospital come at once, and some devices open a hundred associations on their own. An
attempt that would have to wait too long is refused at once, so that its client hears "try later" while it still
listens.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque

from ..errors import DicomgateError
from .patience import asking, waiting

_MEMORY = 16
"""The usual time for which a place is held is the moving average of about this many."""


class LineTooLongError(DicomgateError):
    """It would have to wait too long: too many are before it, or the line does not move."""


class Line:
    """The line for so many `places`. For one event loop."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._free = places
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._held = 0.0
        self._moved = 0.0

    async def enter(self) -> None:
        """Wait for a place; the caller must `leave` it. Raises LineTooLongError."""
        if self._free:
            self._free -= 1
            self._moved = time.monotonic()
            return
        question = asking.get()
        source = "" if question is None else question.source
        if question is not None:
            self._check(source, question.patience)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(source, deque()).append(turn)
        try:
            with waiting():
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn came in the same step
                self._pass_on()
            else:
                self._give_up(source, turn)
            raise

    def leave(self, held: float) -> None:
        """Leave a place that was held for so many seconds; the next one gets it."""
        self._held += (held - self._held) / _MEMORY if self._held else held
        self._pass_on()

    def _pass_on(self) -> None:
        self._moved = time.monotonic()
        while self._waiting:
            source, line = self._waiting.popitem(last=False)
            turn = line.popleft()
            if line:
                self._waiting[source] = line  # behind all other sources
            if not turn.done():  # else it was cancelled in the same step
                turn.set_result(None)
                return
        self._free += 1

    def _give_up(self, source: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(source, deque())
        if turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[source]

    def _check(self, source: str, patience: float) -> None:
        own = len(self._waiting.get(source, ()))
        before = sum(min(len(line), own + 1) for line in self._waiting.values())
        if before * self._held / self._places > patience:
            raise LineTooLongError(f"{before} logins are waiting before this one, which is too many to wait for")
        if time.monotonic() - self._moved > patience:
            raise LineTooLongError(f"none of {self._places} logins under way has ended within {patience:.2g} s")
