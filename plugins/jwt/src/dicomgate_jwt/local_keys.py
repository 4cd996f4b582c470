"""Keys from a file on this machine: looked at before each login, so that a good change counts at once.

Rule: a file that is gone or broken does not replace the last good one; one log line for each change says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import file_stamp, read_secret, read_trusted

from .keys import BadKeyError, Key, KeySet, read_pem, read_set, secret_key

_log = logging.getLogger(__name__)
_LONGEST = 524_288


class LocalKeys:
    """A file of keys that may change. Raises ConfigError at the start, never later."""

    def __init__(self, path: Path, read: Callable[[Path], KeySet]) -> None:
        self._path = path
        self._read = read
        self._seen = file_stamp(self._path)
        self._keys = self._load()

    @property
    def algorithms(self) -> frozenset[str]:
        """What the keys of now can be used with."""
        return frozenset().union(*(key.algorithms for key in self._keys.keys))

    async def __aenter__(self) -> LocalKeys:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def named(self, key_id: str | None) -> Sequence[Key]:
        """The keys of this name now."""
        stamp = file_stamp(self._path)
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._keys = self._load()
            except ConfigError as error:
                _log.error("%s; the last good one stays in force", error)
            else:
                _log.info("%s: taken over, %d keys", self._path, len(self._keys.keys))
        return self._keys.named(key_id)

    def _load(self) -> KeySet:
        try:
            keys = self._read(self._path)
        except BadKeyError as error:
            raise ConfigError(f"{self._path}: {error}") from None
        for dropped in keys.dropped:
            _log.warning("%s: not used: %s", self._path, dropped)
        return keys


def set_file(path: Path) -> KeySet:
    """A JSON Web Key Set in a file."""
    return read_set(read_trusted(path, _LONGEST))


def pem_file(path: Path) -> KeySet:
    """One public key, or the certificate that it stands in."""
    return read_pem(read_trusted(path, _LONGEST))


def secret_file(path: Path) -> KeySet:
    """A secret that the issuer shares with us: the file's one line, byte for byte."""
    return secret_key(read_secret(path))
