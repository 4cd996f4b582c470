"""The users of now: the file is looked at before each login, and a good change counts at once.

Rule 1: a file that is gone, broken or open to everybody does not replace the last good one; one log line for each
        change says so.
Rule 2: a login never waits for another one's reload: it uses the users that are there.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import FileStamp, file_stamp

from .decoy import Decoy, Decoys
from .hashing import HashingFailedError
from .users_file import User, folders, read_users_file

_log = logging.getLogger(__name__)

_SLOW = 1.0
"""Seconds a login; from here on clients give up, repeat, and make it worse."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The users of one good file, and the decoy that goes with them."""

    users: Mapping[str, User]
    decoy: Decoy


class CurrentUsers:
    """The users of a file that may change. Raises ConfigError at the start, never later; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoys = Decoys()
        self._reloading = threading.Lock()
        self._reported: tuple[FileStamp, str] | None = None
        self._warnings: frozenset[str] = frozenset()
        self._seen = _stamp(path)
        try:
            self._snapshot = self._load()
        except HashingFailedError:
            raise ConfigError(f"{path}: there is no memory for its most expensive hash") from None

    def snapshot(self) -> Snapshot:
        """The users of now: of the file as it is, or of the last good one."""
        stamp = _stamp(self._path)
        if stamp != self._seen and self._reloading.acquire(blocking=False):
            try:
                self._reload(stamp)
            finally:
                self._reloading.release()
        return self._snapshot

    def _reload(self, stamp: FileStamp) -> None:
        try:
            self._snapshot = self._load()
        except (ConfigError, HashingFailedError) as error:
            said = str(error)
            if self._reported != (stamp, said):
                self._reported = stamp, said
                _log.error("%s: not taken over, the last good one stays in force: %s", self._path, said)
            # A change that is wrong stays wrong until the next change. What could not be read, for want of a file
            # descriptor or of memory, is tried again: a removed user must not stay in for that.
            if isinstance(error, HashingFailedError) or isinstance(error.__cause__, OSError):
                return
        else:
            self._reported = None
        # Taken before the file was read: a change after that is seen the next time.
        self._seen = stamp

    def _load(self) -> Snapshot:
        file = read_users_file(self._path)
        decoy = self._decoys.costliest(user.cost for user in file.users.values() if user.cost is not None)
        warnings = frozenset(file.warnings)
        for warning in file.warnings:
            if warning not in self._warnings:
                _log.warning("%s", warning)
        self._warnings = warnings
        level = logging.WARNING if decoy.floor > _SLOW else logging.INFO
        milliseconds = round(decoy.floor * 1000)
        _log.log(level, "%s: %d users; a login takes %d ms", self._path, len(file.users), milliseconds)
        return Snapshot(file.users, decoy)


def _stamp(path: Path) -> FileStamp:
    """What changes when the file does, or who may write its folders; None if one of them cannot be looked at."""
    file = file_stamp(path)
    try:
        return file and (*file, *(os.stat(folder).st_mode for folder in folders(path)))  # noqa: PTH116 - as there
    except OSError:
        return None
