"""Those who have not logged in take turns: after a while of work for them, the others are served.

One step of theirs may take milliseconds (the key exchange of TLS, a request of a hundred kilobytes), and many can come
at once. So their steps share two milliseconds in each turn of the event loop, and the rest wait for the next one: the
established associations and all deadlines come in between.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

_SHARE = 0.002  # seconds
Step: TypeAlias = Callable[[], None]


class Turns:
    """Runs steps. `clock` tells seconds."""

    __slots__ = ("_clock", "_due", "_loop", "_spent", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.perf_counter) -> None:
        self._loop = loop
        self._clock = clock
        self._waiting: deque[Step] = deque()
        self._spent = 0.0
        self._due = False

    def take(self, step: Step) -> None:
        """Run it now, or after those that wait, if the share of this turn is used up."""
        if self._due:
            self._waiting.append(step)
        else:
            self._run(step)

    def later(self, step: Step) -> None:
        """Run it in a later turn."""
        self._waiting.append(step)
        self._end_turn()

    def _run(self, step: Step) -> None:
        began = self._clock()
        try:
            step()
        finally:
            self._spent += self._clock() - began
            if self._spent >= _SHARE:
                self._end_turn()

    def _end_turn(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._due, self._spent = False, 0.0
        try:
            while self._waiting and not self._due:
                self._run(self._waiting.popleft())
        finally:
            if self._waiting:
                self._end_turn()
