"""Computations in threads, one for each core; when all are busy, the next computation waits in line.

For an asynchronous authenticator that verifies hashes, which would block the event loop for milliseconds. The work must
end by itself, since a thread cannot be stopped, and should be native code that releases the GIL.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from .line import Line

THREADS = os.cpu_count() or 1
_NICE = 10
"""The event loop goes first whenever it has something to do: it needs no core of its own."""

P = ParamSpec("P")
T = TypeVar("T")


class ComputingThreads:
    """At most `THREADS` computations at a time, in threads whose names begin with `name`.

    Use it in one event loop, and close it.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(THREADS, name, initializer=_go_last)
        self._line = Line(THREADS)

    async def run(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """What `work` returns or raises. A caller that is cancelled leaves the line. Raises LineTooLongError."""
        await self._line.enter()
        began = time.monotonic()

        def leave(computed: asyncio.Future[T]) -> None:
            self._line.leave(time.monotonic() - began)
            if not computed.cancelled():
                computed.exception()  # the caller may be gone

        try:
            computed = asyncio.wrap_future(self._executor.submit(work, *arguments, **options))
        except BaseException:
            self._line.leave(0)
            raise
        computed.add_done_callback(leave)
        return await asyncio.shield(computed)

    def close(self) -> None:
        """Drop what waits. What is being computed ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _go_last() -> None:
    with suppress(OSError):
        os.nice(_NICE)  # of this thread alone, on Linux
