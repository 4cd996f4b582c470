"""How late the gateway's event loop is: what holds it up holds up every association."""

from __future__ import annotations

import asyncio

from .counters import STATE, Histogram

EVERY = 0.25  # seconds


class LoopLag:
    """A timer in this loop, which notes how late it is. Call its methods in that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.seconds = Histogram(STATE)
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin."""
        self._timer = self._loop.call_later(EVERY, self._look, self._loop.time() + EVERY)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, due: float) -> None:
        self.seconds.observe(max(0.0, self._loop.time() - due))
        self.start()
