"""Connections that have no records of their own: one line of the log tells how many there were."""

from __future__ import annotations

import asyncio
import logging

_log = logging.getLogger("dicomgate.gateway")
_DROPPED = 1.0  # seconds from the first that is counted to the line
_SILENT = 60.0


class _Tally:
    """Counts, and writes a line some time after the first of them: however many they are, the log stays short."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, level: int, line: str) -> None:
        self._loop = loop
        self._seconds = seconds
        self._level = level
        self._line = line
        self._count = 0
        self._last: tuple[str, ...] = ()

    def count(self, *last: str) -> None:
        """One more; the line tells the last one's details."""
        if not self._count:
            self._loop.call_later(self._seconds, self._write)
        self._count += 1
        self._last = last

    def _write(self) -> None:
        _log.log(self._level, self._line, self._count, *self._last)
        self._count = 0


def dropped(loop: asyncio.AbstractEventLoop) -> _Tally:
    """Of connections that were closed unanswered. `count` takes the client's address and the limit that it met."""
    line = "connections closed unanswered: %d, the last of them from %s: %s"
    return _Tally(loop, _DROPPED, logging.WARNING, line)


def silent(loop: asyncio.AbstractEventLoop) -> _Tally:
    """Of connections whose client closed them without having sent anything. `count` takes its address."""
    what = f"connections that their clients closed without having sent anything, within {_SILENT:g} s"
    return _Tally(loop, _SILENT, logging.INFO, f"{what} (health checks?): %d, the last of them from %s")
