"""Keys from a file on this machine; a good change of the file counts at the next login."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import read_secret, read_trusted
from dicomgate.kit.watched import Watched

from .keys import BadKeyError, Key, KeySet, read_pem, read_set, secret_key

_log = logging.getLogger(__name__)
_LONGEST = 524_288


class LocalKeys:
    """The keys that `read` finds in the file `path`. Raises ConfigError when it is made, never later."""

    def __init__(self, path: Path, read: Callable[[Path], KeySet]) -> None:
        def load() -> KeySet:
            try:
                keys = read(path)
            except BadKeyError as error:
                raise ConfigError(f"{path}: {error}") from None
            for dropped in keys.dropped:
                _log.warning("%s: not used: %s", path, dropped)
            return keys

        self._keys = Watched([path], load, log=_log, describe=lambda keys: f"loaded, {len(keys.keys)} keys")

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that the keys can be used with now."""
        return frozenset().union(*(key.algorithms for key in self._keys.current().keys))

    async def __aenter__(self) -> LocalKeys:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def unchanged(self, key_id: str | None) -> Callable[[], bool]:
        """A function that says whether `named` would still return what it returns now."""
        return partial(self._keys.is_current, self._keys.current())

    async def named(self, key_id: str | None) -> Sequence[Key]:
        """The keys of this name now."""
        return self._keys.current().named(key_id)


def set_file(path: Path) -> KeySet:
    """The keys of a JSON Web Key Set in a file. Raises BadKeyError and ConfigError."""
    return read_set(read_trusted(path, _LONGEST))


def pem_file(path: Path) -> KeySet:
    """The one public key in a PEM file, or that of the certificate in it. Raises BadKeyError and ConfigError."""
    return read_pem(read_trusted(path, _LONGEST))


def secret_file(path: Path) -> KeySet:
    """The secret shared with the issuer: the file's one line, byte for byte. Raises BadKeyError and ConfigError."""
    return secret_key(read_secret(path))
