"""An issuer's keys from its URL, or from where its discovery document says (OpenID Connect Discovery 1.0, 4).

Rule 1: one fetch for any number of logins that wait for it; and after each one, good or not, no other for a while. So
        neither a thousand tokens with invented key names nor an issuer that is down make more than a few fetches.
Rule 2: the last keys are used while new ones cannot be had, for a stated time; then nobody can look.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from dicomgate import ConfigError
from dicomgate.kit.fetch import Fetcher, FetchError, check_url

from .discovery import discovered
from .keys import BadKeyError, Key, KeySet, read_set

_log = logging.getLogger(__name__)
COOL_DOWN = 20.0
"""Seconds between two fetches: so long a new key may stay unknown, and three a minute is what an issuer bears."""


class RemoteKeys:
    """The keys of `issuer`, from `url`; without one, from where its discovery document says. Raises ConfigError."""

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
            raise ConfigError("refresh and stale: refresh is 30s or more, and stale no less than refresh")
        self._fetcher = fetcher
        self._issuer = issuer
        check_url("issuer" if url is None else "jwks_url", issuer if url is None else url)
        self._url = url
        self._discovers = url is None
        self._refresh = refresh.total_seconds()
        self._stale = stale.total_seconds()
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched = self._tried = float("-inf")
        self._failed = ""
        self._fetching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RemoteKeys:
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait((self._fetching,))

    async def named(self, key_id: str | None) -> Sequence[Key]:
        """The keys of this name now. Raises FetchError."""
        age = self._clock() - self._fetched
        if age > self._refresh / 2:
            self._begin()  # ahead of time, so that no login waits for it
        if age > self._refresh:
            await self._settled()
        found = self._usable().named(key_id)
        if not found and self._begin():
            await self._settled()
            found = self._usable().named(key_id)
        if not found and self._failed:
            raise self._out_of_reach()  # a key of that name may well be there by now
        return found

    def _usable(self) -> KeySet:
        if self._keys is None or self._clock() - self._fetched > self._stale:
            raise self._out_of_reach()
        return self._keys

    def _out_of_reach(self) -> FetchError:
        return FetchError(f"the keys of {self._issuer} cannot be had: {self._failed or 'not yet'}")

    def _begin(self) -> bool:
        """See to it that a fetch is under way; False if it is too early for another one."""
        if self._fetching is None or self._fetching.done():
            if self._clock() - self._tried < COOL_DOWN:
                return False
            self._tried = self._clock()
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        return True

    async def _settled(self) -> None:
        if self._fetching is not None:
            await asyncio.wait((self._fetching,))  # which does not cancel it with who waits

    async def _fetch(self) -> None:
        until = self._fetcher.until()  # for both documents, if it takes two
        try:
            keys = read_set(await self._fetcher.get(await self._where(until), until=until))
        except (FetchError, BadKeyError) as error:
            self._url = None if self._discovers else self._url  # the document may say something else by now
            if str(error) != self._failed:
                _log.error("the keys of %s cannot be had: %s", self._issuer, error)
            self._failed = str(error)
        except Exception as error:  # noqa: BLE001 (a defect; the next fetch may go well)
            self._failed = type(error).__name__
            _log.exception("the keys of %s cannot be had: a defect", self._issuer)
        else:
            self._took_over(keys)

    def _took_over(self, keys: KeySet) -> None:
        if self._failed or self._keys is None:
            _log.info("the keys of %s: %d", self._issuer, len(keys.keys))
        if self._keys is None or keys.dropped != self._keys.dropped:
            for dropped in keys.dropped:
                _log.warning("a key of %s is not used: %s", self._issuer, dropped)
        self._keys, self._failed, self._fetched = keys, "", self._clock()

    async def _where(self, until: float) -> str:
        """Where the keys are. Raises FetchError."""
        if self._url is None:
            self._url = await discovered(self._fetcher, self._issuer, "jwks_uri", until=until)
        return self._url
