"""A value read from files that may change; a good change counts at the next use.

Rule 1: a file that is missing, wrong or writable by everybody never replaces the last good value.
Rule 2: a wrong file is not read again until it changes. A file that could not be read, for example because the process
        had no file descriptor left (EMFILE), is read again at the next use: a user or a key that the operator removed
        must not stay valid because of that.
Rule 3: one log line for each change. A reload in one thread never makes another thread wait, only tasks.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import ConfigError
from .files import FileStamp, trust_stamp
from .patience import waiting

_LOOK_AGAIN = 0.005
"""Seconds after which who waits for a reload in another thread looks whether it is over."""

T = TypeVar("T")
_Stamp = tuple[FileStamp, ...]


class Watched(Generic[T]):
    """The value that `read` makes of `paths`. Thread-safe.

    `read` raises ConfigError. One whose cause is an OSError or a MemoryError means that the files could not be read;
    any other one means that they are wrong. `describe` returns the text of the log line for a new value.

    Raises ConfigError when it is made, never later.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        read: Callable[[], T],
        *,
        log: logging.Logger,
        describe: Callable[[T], str] = lambda _: "loaded",
    ) -> None:
        self._paths = paths
        self._read = read
        self._log = log
        self._describe = describe
        self._reloading = threading.Lock()
        self._reported: tuple[_Stamp, str] | None = None
        # Taken before the files are read: the next use sees a change that comes in between.
        self._seen = self._stamp()
        self._value = read()

    def current(self) -> T:
        """The value of the files as they are now, or the last good one if they cannot be used."""
        if self._stamp() != self._seen and self._reloading.acquire(blocking=False):
            try:
                # Once more: another thread may have reloaded in between.
                if (stamp := self._stamp()) != self._seen:
                    self._reload(stamp)
            finally:
                self._reloading.release()
        return self._value

    async def current_async(self) -> T:
        """As `current`, for an event loop: what has changed is read in a thread, and whoever comes meanwhile waits.

        So a user whom the operator has just removed is not let in while the file is being read.
        """
        for _ in range(3):  # a reload under way may have begun before the last change, and one may fail each time
            if self._stamp() == self._seen:
                break
            await asyncio.to_thread(self.current)
            if self._reloading.locked():
                with waiting():
                    while self._reloading.locked():  # noqa: ASYNC110 (the thread belongs to no event loop)
                        await asyncio.sleep(_LOOK_AGAIN)
        return self._value

    def is_current(self, value: T) -> bool:
        """True if this is the value, and no file has changed since it was read. Reads none."""
        return self._value is value and self._stamp() == self._seen

    def _reload(self, stamp: _Stamp) -> None:
        try:
            self._value = self._read()
        except ConfigError as error:
            if self._reported != (stamp, str(error)):
                self._reported = stamp, str(error)
                self._log.error("not loaded, the last good version stays in use: %s", error)
            if isinstance(error.__cause__, OSError | MemoryError):
                return
        else:
            self._reported = None
            self._log.info("%s: %s", ", ".join(map(str, self._paths)), self._describe(self._value))
        self._seen = stamp

    def _stamp(self) -> _Stamp:
        return tuple(map(trust_stamp, self._paths))
