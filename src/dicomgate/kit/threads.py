"""Computations in threads of their own, at most so many at a time, with a bound on those that wait.

For an asynchronous authenticator that verifies hashes, which would block the event loop for milliseconds. The work must
end by itself: a thread cannot be stopped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from ..errors import DicomgateError

THREADS = max(1, (os.cpu_count() or 1) - 1)
"""One core is left to the event loop."""

QUEUE_PER_THREAD = 32

P = ParamSpec("P")
T = TypeVar("T")


class QueueFullError(DicomgateError):
    """As many computations are waiting as may wait."""


class ComputingThreads:
    """At most `THREADS` computations at a time, in threads whose names begin with `name`.

    Use it in one event loop, and close it.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._most = THREADS * QUEUE_PER_THREAD
        self._waiting = 0

    async def run(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """What `work` returns or raises. A caller that is cancelled leaves the queue. Raises QueueFullError."""
        if self._waiting >= self._most:
            raise QueueFullError(f"{self._waiting} computations are already waiting for a thread")
        self._waiting += 1
        try:
            return await asyncio.wrap_future(self._executor.submit(work, *arguments, **options))
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Drop what waits. What is being computed ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)
