"""An issuer's keys from a URL: the configured one, or the one in its discovery document."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from dicomgate import ConfigError
from dicomgate.kit.fetch import Fetcher, FetchError, check_url
from dicomgate.kit.refreshed import Refreshed

from .discovery import discovered
from .keys import BadKeyError, Key, KeySet, read_set

_log = logging.getLogger(__name__)
COOL_DOWN = 20.0
"""Seconds between two fetches. A new key may stay unknown for this long; an issuer can bear three fetches a minute."""


class RemoteKeys:
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
        self._set = Refreshed(
            self._fetch,
            what=f"the keys of {issuer}",
            log=_log,
            describe=lambda keys: f"loaded, {len(keys.keys)} keys",
            cool_down=COOL_DOWN,
            refresh=refresh.total_seconds(),
            stale=stale.total_seconds(),
            clock=clock,
        )

    async def __aenter__(self) -> RemoteKeys:
        await self._set.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._set.close()

    def unchanged(self, key_id: str | None) -> Callable[[], bool]:
        """A function that says whether `named` would still return what it just returned, without a fetch."""
        try:
            keys = self._set.latest()
        except FetchError:
            return lambda: False
        found = bool(keys.named(key_id))
        return lambda: self._set.is_current(keys) and (found or not self._set.may_fetch())

    async def named(self, key_id: str | None) -> Sequence[Key]:
        """The keys of this name now; an unknown name has the set fetched again. Raises FetchError."""
        return (await self._set.current()).named(key_id) or (await self._set.newest()).named(key_id)

    async def _fetch(self) -> KeySet:
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
