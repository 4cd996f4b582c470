"""A value read from files that may change; a good change counts at the next use.

Rule 1: a file that is gone, wrong or open to everybody never replaces the last good value.
Rule 2: what is wrong waits for the next change of the files. What could not be read, for want of a file descriptor or
        of memory, is tried again at the next use: a removed user or key must not stay in for that.
Rule 3: one log line for each change. Nobody waits for another one's reload.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import ConfigError
from .files import FileStamp, trust_stamp

T = TypeVar("T")
_Stamp = tuple[FileStamp, ...]


class Watched(Generic[T]):
    """What `read` makes of `paths`. Thread-safe.

    `read` raises ConfigError; one whose cause is an OSError or a MemoryError says that the files could not be read,
    any other one that they are wrong. `describe` gives the text that the log has of a value that was taken over.

    Raises ConfigError when it is made, never later.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        read: Callable[[], T],
        *,
        log: logging.Logger,
        describe: Callable[[T], str] = lambda _: "taken over",
    ) -> None:
        self._paths = paths
        self._read = read
        self._log = log
        self._describe = describe
        self._reloading = threading.Lock()
        self._reported: tuple[_Stamp, str] | None = None
        self._seen = self._stamp()
        self._value = read()

    def current(self) -> T:
        """What the files say now; what the last good ones said where these are not good."""
        stamp = self._stamp()
        if stamp != self._seen and self._reloading.acquire(blocking=False):
            try:
                self._reload(stamp)
            finally:
                self._reloading.release()
        return self._value

    def _reload(self, stamp: _Stamp) -> None:
        try:
            self._value = self._read()
        except ConfigError as error:
            if self._reported != (stamp, str(error)):
                self._reported = stamp, str(error)
                self._log.error("not taken over, the last good one stays in force: %s", error)
            if isinstance(error.__cause__, OSError | MemoryError):
                return
        else:
            self._reported = None
            self._log.info("%s: %s", ", ".join(map(str, self._paths)), self._describe(self._value))
        # Taken before the files were read: a change after that is seen the next time.
        self._seen = stamp

    def _stamp(self) -> _Stamp:
        return tuple(map(trust_stamp, self._paths))
