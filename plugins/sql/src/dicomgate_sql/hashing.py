"""Hashes computed in threads of their own, with a bound.

A hash takes from milliseconds to hundreds of them and would stop every association if the event loop computed it. It
always ends, since its cost is capped: no thread hangs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from dicomgate_passcode import HashingFailedError

from .failure import CouldNotLookError

THREADS = max(1, (os.cpu_count() or 1) - 1)
"""One core is left to the event loop."""

MOST_WAITING = 32 * THREADS

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class HashingThreads:
    """At most `THREADS` hashes at a time. Use it in one event loop, and close it."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="sql-hashing")
        self._waiting = 0

    async def run(
        self, work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **options: _Arguments.kwargs
    ) -> _Result:
        """What `work` returns. Who gives up waiting leaves the queue. Raises CouldNotLookError."""
        if self._waiting >= MOST_WAITING:
            raise CouldNotLookError(f"{self._waiting} passcodes are waiting to be verified already")
        self._waiting += 1
        try:
            return await asyncio.wrap_future(self._executor.submit(work, *arguments, **options))
        except HashingFailedError:
            raise CouldNotLookError("a hash could not be computed: no memory for it") from None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Drop what waits; what is being computed ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)
