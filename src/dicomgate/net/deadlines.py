"""Deadlines of the few lengths that all associations share, such as ARTIM.

Of one length, the one that began first is due first. So a queue takes the place of the event loop's heap, and one timer
of the loop waits for the first in it. A short association has five deadlines, and nearly all are cancelled.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

_AT_ONCE = 32  # called in one turn of the loop, so that others are served in between


class Deadlines:
    """All deadlines on one event loop."""

    __slots__ = ("_queues", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._queues: dict[float, _Queue] = {}

    def after(self, seconds: float, call: Callable[[], object]) -> Deadline:
        """Call back after so many seconds, which must be one of few lengths, such as those of a configuration."""
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = _Queue(self.loop)
        return Deadline(queue, self.loop.time() + seconds, call)


class Deadline:
    """One of them. `call` may be replaced while it waits."""

    __slots__ = ("_queue", "call", "due")

    def __init__(self, queue: _Queue, due: float, call: Callable[[], object]) -> None:
        self._queue = queue
        self.due = due
        self.call = call
        queue.add(self)

    def cancel(self) -> None:
        """Do not call back any more. No effect if it has."""
        self._queue.waiting.pop(self, None)
        self.call = _nothing  # its owner refers to this: what is over needs no garbage collector


class _Queue:
    """The deadlines of one length, in the order in which they began."""

    __slots__ = ("_loop", "_timed", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timed = False
        self.waiting: OrderedDict[Deadline, None] = OrderedDict()

    def add(self, deadline: Deadline) -> None:
        self.waiting[deadline] = None
        if not self._timed:
            self._timed = True
            self._loop.call_at(deadline.due, self._look)

    def _look(self) -> None:
        """Call what is due. When the first is cancelled the timer stays as it is, and looks once in vain."""
        now, waiting = self._loop.time(), self.waiting
        for _ in range(_AT_ONCE):
            first = next(iter(waiting), None)
            if first is None:
                self._timed = False
                return
            if first.due > now:
                self._loop.call_at(first.due, self._look)
                return
            call = first.call
            first.cancel()
            try:
                call()
            except Exception as error:  # noqa: BLE001 (as in asyncio: a defect ends no loop, and no other's deadline)
                self._loop.call_exception_handler({"message": f"Exception in {call!r}", "exception": error})
        self._loop.call_soon(self._look)


def _nothing() -> None:
    """Called by nobody: a deadline that is over is in no queue."""
