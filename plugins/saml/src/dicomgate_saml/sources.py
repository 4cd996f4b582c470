"""Where the issuer's keys come from, now: files that may change, or a URL.

Rule: what is broken does not replace what was good; one log line for each change says so. Past its validUntil metadata
says nothing, and then nobody can look.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from dicomgate import ConfigError
from dicomgate.kit.fetch import Fetcher, FetchError, check_url
from dicomgate.kit.files import read_trusted
from dicomgate.kit.watched import Watched

from .document import RefusedError
from .trust import LARGEST_METADATA, Trusted, read_certificates, read_metadata

_log = logging.getLogger(__name__)
_AGAIN = 30.0
"""Seconds after which a fetch that failed is tried again."""


class MetadataUnavailableError(Exception):
    """Nobody knows the issuer's keys now. The words are for the log."""


class Source(Protocol):
    """Whom to trust now; entered before the first question."""

    def trusted(self, now: float) -> Trusted:
        """The certificates of now (Unix time), in any thread. Raises MetadataUnavailableError."""
        ...

    async def ready(self) -> None:
        """Wait until the first look is over, good or not."""
        ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *_: object) -> None: ...


class FixedSource:
    """Files whose good changes count at the next login. Raises ConfigError when it is made, never later."""

    def __init__(self, paths: Sequence[Path], read: Callable[[], Trusted]) -> None:
        self._files = Watched(paths, read, log=_log)

    def trusted(self, now: float) -> Trusted:
        """What the files say, or what the last good ones said. Raises MetadataUnavailableError."""
        return _still_valid(self._files.current(), now)

    async def ready(self) -> None:
        """Return at once: the files were read when this was made."""

    async def __aenter__(self) -> FixedSource:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class UrlSource:
    """Metadata that is fetched in the background, at the start and again and again."""

    def __init__(
        self, url: str, issuer: str, signers: Sequence[str],
        *, refresh: timedelta, deadline: timedelta, ca: Path | None, proxy: str | None,
    ) -> None:  # fmt: skip
        check_url("metadata_url", url)
        if refresh < timedelta(minutes=1):
            raise ConfigError("refresh: a minute or more")
        self._url, self._issuer, self._signers = url, issuer, signers
        self._refresh = refresh.total_seconds()
        self._fetcher = Fetcher(ca=ca, proxy=proxy, deadline=deadline)
        self._trusted: Trusted | None = None
        self._failed = "not yet"
        self._task: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()

    async def ready(self) -> None:
        """Wait for the end of the first fetch: no longer than its deadline."""
        await self._looked.wait()

    def trusted(self, now: float) -> Trusted:
        """What was fetched last. Raises MetadataUnavailableError."""
        if self._trusted is None:
            raise MetadataUnavailableError(f"the metadata of {self._issuer} cannot be had: {self._failed}")
        return _still_valid(self._trusted, now)

    async def __aenter__(self) -> UrlSource:
        self._task = asyncio.get_running_loop().create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        while True:
            good = await self._fetch()
            self._looked.set()
            await asyncio.sleep(self._refresh if good else _AGAIN)

    async def _fetch(self) -> bool:
        try:
            data = await self._fetcher.get(self._url, accept="application/samlmetadata+xml")
            # Half a megabyte takes its time, and so does a signature.
            fetched = await asyncio.to_thread(read_metadata, data, self._issuer, self._signers)
            _still_valid(fetched, time.time())
        except (FetchError, RefusedError, MetadataUnavailableError) as error:
            if str(error) != self._failed:
                _log.error("the metadata of %s cannot be had: %s", self._issuer, error)
            self._failed = str(error)
            return False
        except Exception:  # noqa: BLE001 (the next fetch may go well)
            _log.exception("the metadata of %s cannot be had: a defect", self._issuer)
            return False
        if self._failed:
            _log.info("the metadata of %s: %d signing certificates", self._issuer, len(fetched.certificates))
        self._trusted, self._failed = fetched, ""
        return True


def certificate_files(paths: Sequence[Path]) -> Callable[[], Trusted]:
    """Reads certificates from PEM files."""

    def read() -> Trusted:
        found: list[str] = []
        for path in paths:
            found += _in(path, read_certificates)
        return Trusted(tuple(found))

    return read


def metadata_file(path: Path, issuer: str, signers: Sequence[str]) -> Callable[[], Trusted]:
    """Reads metadata from a file."""
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
