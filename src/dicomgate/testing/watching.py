"""What an authenticator must not do: log secrets, block the event loop, leave threads or files."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_BEAT = 0.01
_PATIENCE = 10.0  # seconds for what is about to end anyway
_GRACE = 1.0  # seconds for what may stay, and must not be cut off if it does not
_DESCRIPTORS = Path("/proc/self/fd")


@contextmanager
def logged() -> Iterator[list[str]]:
    """The lines that anybody logs while the block lasts, at any level, as a file would have them."""
    lines: list[str] = []
    formatter = logging.Formatter()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    root, handler = logging.getLogger(), Handler()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let the process open no file while the block lasts: each try fails with EMFILE.

    The limit is three, of which standard input, output and error are in use. With none, poll(2) would refuse to watch
    any, and end other threads of the process. Garbage is collected before: Kerberos credentials of other tests open a
    file when they are freed.
    """
    gc.collect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def longest_stall(work: Awaitable[object]) -> float:
    """How long nothing else came to its turn in the event loop while this was awaited, in seconds."""
    task = asyncio.ensure_future(work)
    longest, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.wait((task,), timeout=_BEAT)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    await task
    return longest


class Belongings:
    """How many tasks, threads and descriptors there were."""

    def __init__(self) -> None:
        self._before = _count()

    async def settle(self) -> None:
        """Let what was abandoned end while its event loop is there: a thread would report to one that is closed."""
        await self.grown_by(1, _GRACE)

    async def grown_by(self, least: int, patience: float | None = None) -> list[str]:
        """The names of those of which there are at least so many more, some time later."""
        deadline = time.monotonic() + (_PATIENCE if patience is None else patience)
        while (grown := self._grown(least)) and time.monotonic() < deadline:
            await asyncio.sleep(_BEAT)
            gc.collect()
        return grown

    def _grown(self, least: int) -> list[str]:
        return [name for name, count in _count().items() if count - self._before[name] >= least]


async def left_behind(visit: Callable[[], Awaitable[object]], rounds: int) -> str:
    """What there is more of each time that `visit` is awaited, in words; "" if it leaves nothing behind."""
    start = Belongings()
    await visit()  # it may make once what it keeps for good, for example a pool
    await start.settle()
    before = Belongings()
    for _ in range(rounds):
        await visit()
    grown = await before.grown_by(rounds)
    await start.settle()
    return " and ".join(grown)


async def abandon(call: Awaitable[object], turns: int = 1) -> None:
    """Begin it, and give up after so many turns of the event loop."""
    task = asyncio.ensure_future(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))


def _count() -> dict[str, int]:
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS.exists() else 0,
    }
