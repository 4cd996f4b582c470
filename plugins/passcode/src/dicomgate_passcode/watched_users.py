"""The users of now: the file is looked at before each login, and a good change counts at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.watched import Watched

from .dummy_hash import DummyHash, DummyHashes
from .hashing import HashingFailedError
from .users_file import User, read_users_file

_log = logging.getLogger(__name__)

_SLOW = 1.0
"""Seconds a login. Clients that wait longer give up and try again, which makes it worse."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The users of one good file, and the dummy hash that costs as much as the dearest of theirs."""

    users: Mapping[str, User]
    dummy: DummyHash


class WatchedUsers(Watched[Snapshot]):
    """The users of a file that may change. Thread-safe. Raises ConfigError when it is made, never later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dummies = DummyHashes()
        self._warned: frozenset[str] = frozenset()
        super().__init__([path], self._load, log=_log, describe=_described)
        _log.info("%s: %s", path, _described(self.current()))

    def _load(self) -> Snapshot:
        file = read_users_file(self._path)
        try:
            dummy = self._dummies.costliest(user.cost for user in file.users.values() if user.cost is not None)
        except HashingFailedError as error:
            raise ConfigError(f"{self._path}: not enough memory for its most expensive hash") from error
        warnings = list(file.warnings)
        if dummy.floor > _SLOW:
            warnings.append(
                f"{self._path}: a login takes {round(dummy.floor * 1000)} ms; one of the hashes is expensive"
            )
        for warning in warnings:
            if warning not in self._warned:  # not again at each change of the file
                _log.warning("%s", warning)
        self._warned = frozenset(warnings)
        return Snapshot(file.users, dummy)


def _described(snapshot: Snapshot) -> str:
    outdated = sum(user.cost is not None and user.cost.outdated for user in snapshot.users.values())
    weak = f"; {outdated} outdated hashes" if outdated else ""
    return f"{len(snapshot.users)} users; a login takes {round(snapshot.dummy.floor * 1000)} ms{weak}"
