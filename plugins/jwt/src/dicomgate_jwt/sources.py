"""Where an issuer's keys come from: a file, which may change, or a URL, the configured or the discovered one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.fetch import Fetcher, FetchError, check_url
from dicomgate.kit.files import read_secret, read_trusted
from dicomgate.kit.refreshed import Refreshed
from dicomgate.kit.text import without_mark
from dicomgate.kit.watched import Watched

from .discovery import discovered
from .keys import BadKeyError, Key, KeySet, read_pem, read_set, secret_key

_log = logging.getLogger(__name__)
_LONGEST = 524_288
COOL_DOWN = 20.0
"""Seconds between two fetches. A new key may stay unknown for this long; an issuer can bear three fetches a minute."""

READERS: Mapping[str, Callable[[Path], KeySet]] = {
    "jwks_file": lambda path: read_set(without_mark(read_trusted(path, _LONGEST))),
    "public_key_file": lambda path: read_pem(read_trusted(path, _LONGEST)),
    "secret_file": lambda path: secret_key(read_secret(path)),
}
"""What makes keys of a file, by the key that names it."""


class LocalKeys(Watched[KeySet]):
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

        super().__init__([path], load, log=_log, describe=_described)

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that the keys can be used with now."""
        return frozenset().union(*(key.algorithms for key in self.current().keys))

    def unchanged(self, key_id: str | None) -> Callable[[], bool]:
        """A function that says whether `named` would still return what it returns now."""
        return partial(self.is_current, self.current())

    async def named(self, key_id: str | None) -> Sequence[Key]:
        """The keys of this name now."""
        return self.current().named(key_id)


class RemoteKeys(Refreshed[KeySet]):
    """The keys of `issuer` from `url`, or by discovery if there is none. Raises ConfigError."""

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        issuer: str,
        url: str | None,
        refresh: timedelta,
        stale: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not timedelta(seconds=30) <= refresh <= stale:
            raise ConfigError("refresh and stale: refresh must be 30s or more, and stale no less than refresh")
        check_url("issuer" if url is None else "jwks_url", issuer if url is None else url)
        self._fetcher = fetcher
        self._issuer = issuer
        self._configured = url
        self._discovered: str | None = None
        self._dropped: Sequence[str] = ()
        super().__init__(
            self._read,
            what=f"the keys of {issuer}",
            log=_log,
            describe=_described,
            cool_down=COOL_DOWN,
            refresh=refresh.total_seconds(),
            stale=stale.total_seconds(),
            clock=clock,
        )

    def unchanged(self, key_id: str | None) -> Callable[[], bool]:
        """A function that says whether `named` would still return what it just returned, without a fetch."""
        try:
            keys = self.latest()
        except FetchError:
            return lambda: False
        found = bool(keys.named(key_id))
        return lambda: self.is_current(keys) and (found or not self.may_fetch())

    async def named(self, key_id: str | None) -> Sequence[Key]:
        """The keys of this name now; an unknown name has the set fetched again. Raises FetchError."""
        return (await self.current()).named(key_id) or (await self.newest()).named(key_id)

    async def _read(self) -> KeySet:
        until = self._fetcher.until()  # one deadline for both documents
        url = self._configured or self._discovered or await discovered(self._fetcher, self._issuer, "jwks_uri", until)
        self._discovered = None  # after a failure the discovery document is read again: the URL may have changed
        try:
            keys = read_set(await self._fetcher.get(url, until=until))
        except BadKeyError as error:
            raise FetchError(str(error)) from None
        self._discovered = url
        if keys.dropped != self._dropped:
            for dropped in keys.dropped:
                _log.warning("a key of %s is not used: %s", self._issuer, dropped)
        self._dropped = keys.dropped
        return keys


def _described(keys: KeySet) -> str:
    return f"loaded, {len(keys.keys)} keys"
