"""Where the issuer's keys come from: files that may change, or a URL.

Rule: broken keys never replace good ones. Metadata after its validUntil does not count, and the login is `Unavailable`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from dicomgate import ConfigError
from dicomgate.kit.fetch import Fetcher, FetchError, check_url
from dicomgate.kit.files import read_trusted
from dicomgate.kit.refreshed import Refreshed
from dicomgate.kit.watched import Watched

from .document import RefusedError
from .trust import LARGEST_METADATA, Trusted, read_certificates, read_metadata

_log = logging.getLogger(__name__)
_AGAIN = 30.0
"""Seconds after which a failed fetch is tried again."""


class MetadataUnavailableError(Exception):
    """The issuer's keys are not known now. The message is for the log."""


class FixedSource:
    """Files whose good changes count at the next login. Raises ConfigError when it is made, never later."""

    def __init__(self, paths: Sequence[Path], read: Callable[[], Trusted]) -> None:
        self._files = Watched(paths, read, log=_log)

    def trusted(self, now: float) -> Trusted:
        """What the files say, or the last good ones said, at `now` (Unix time). Raises MetadataUnavailableError."""
        return _still_valid(self._files.current(), now)

    def is_current(self, trusted: Trusted) -> bool:
        """True if these are the keys, and no file has changed since."""
        return self._files.is_current(trusted)

    async def ready(self) -> None:
        """Return at once: the files were read when this was made."""

    async def __aenter__(self) -> FixedSource:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class UrlSource:
    """Metadata that is fetched in the background, at the start and then every `refresh`. Raises ConfigError."""

    def __init__(
        self, url: str, issuer: str, signers: Sequence[str],
        *, refresh: timedelta, deadline: timedelta, ca: Path | None, proxy: str | None,
    ) -> None:  # fmt: skip
        check_url("metadata_url", url)
        if refresh < timedelta(minutes=1):
            raise ConfigError("refresh: a minute or more")
        self._url, self._issuer, self._signers = url, issuer, signers
        self._fetcher = Fetcher(ca=ca, proxy=proxy, deadline=deadline)
        self._metadata = Refreshed(
            self._fetch,
            what=f"the metadata of {issuer}",
            log=_log,
            describe=lambda trusted: f"loaded, {len(trusted.certificates)} signing certificates",
            cool_down=_AGAIN,
            refresh=refresh.total_seconds(),
            background=True,
        )

    async def ready(self) -> None:
        """Wait for the end of the first fetch, at most until its deadline."""
        await self._metadata.settled()

    def trusted(self, now: float) -> Trusted:
        """What was fetched last, if it counts at `now` (Unix time). Thread-safe. Raises MetadataUnavailableError."""
        try:
            return _still_valid(self._metadata.latest(), now)
        except FetchError as error:
            raise MetadataUnavailableError(str(error)) from None

    def is_current(self, trusted: Trusted) -> bool:
        """True if these are the keys that were fetched last."""
        return self._metadata.is_current(trusted)

    async def __aenter__(self) -> UrlSource:
        await self._metadata.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._metadata.close()

    async def _fetch(self) -> Trusted:
        data = await self._fetcher.get(self._url, accept="application/samlmetadata+xml")
        try:
            # In a thread: reading half a megabyte and its signature would hold up the event loop.
            fetched = await asyncio.to_thread(read_metadata, data, self._issuer, self._signers)
            return _still_valid(fetched, time.time())
        except (RefusedError, MetadataUnavailableError) as error:
            raise FetchError(str(error)) from None


Source: TypeAlias = FixedSource | UrlSource


def certificate_files(paths: Sequence[Path]) -> Callable[[], Trusted]:
    """A reader of the certificates in PEM files. It raises ConfigError."""

    def read() -> Trusted:
        found: list[str] = []
        for path in paths:
            found += _in(path, read_certificates)
        return Trusted(tuple(found))

    return read


def metadata_file(path: Path, issuer: str, signers: Sequence[str]) -> Callable[[], Trusted]:
    """A reader of the metadata in a file. It raises ConfigError."""
    return lambda: _in(path, lambda data: read_metadata(data, issuer, signers))


def _in(path: Path, read: Callable[[bytes], Any]) -> Any:
    try:
        return read(read_trusted(path, LARGEST_METADATA))
    except RefusedError as error:
        raise ConfigError(f"{path}: {error}") from None


def _still_valid(trusted: Trusted, now: float) -> Trusted:
    if trusted.until is not None and trusted.until <= now:
        raise MetadataUnavailableError("the metadata is past its validUntil")
    return trusted
