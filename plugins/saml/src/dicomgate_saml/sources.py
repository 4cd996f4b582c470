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

Source: TypeAlias = Watched[Trusted] | Refreshed[Trusted]


def trusted(source: Source, now: float) -> Trusted:
    """What the source says at `now` (Unix time). Thread-safe. Raises FetchError if that is not known, or has ended."""
    return _still_valid(source.current() if isinstance(source, Watched) else source.latest(), now)


def certificate_files(paths: Sequence[Path]) -> Watched[Trusted]:
    """The certificates in PEM files. Raises ConfigError."""
    return Watched(
        paths, lambda: Trusted(tuple(one for path in paths for one in _in(path, read_certificates))), log=_log
    )


def metadata_file(path: Path, issuer: str, signers: Sequence[str]) -> Watched[Trusted]:
    """The metadata in a file. Raises ConfigError."""
    return Watched([path], lambda: _in(path, lambda data: read_metadata(data, issuer, signers)), log=_log)


def metadata_url(
    url: str, fetcher: Fetcher, issuer: str, signers: Sequence[str], refresh: timedelta
) -> Refreshed[Trusted]:
    """Metadata that is fetched in the background, at the start and then every `refresh`. Raises ConfigError."""
    check_url("metadata_url", url)
    if refresh < timedelta(minutes=1):
        raise ConfigError("refresh: a minute or more")

    async def fetch() -> Trusted:
        data = await fetcher.get(url, accept="application/samlmetadata+xml")
        try:
            # In a thread: reading half a megabyte and its signature would hold up the event loop.
            return _still_valid(await asyncio.to_thread(read_metadata, data, issuer, signers), time.time())
        except RefusedError as error:
            raise FetchError(str(error)) from None

    return Refreshed(
        fetch,
        what=f"the metadata of {issuer}",
        log=_log,
        describe=lambda found: f"loaded, {len(found.certificates)} signing certificates",
        cool_down=_AGAIN,
        refresh=refresh.total_seconds(),
        background=True,
    )


def _in(path: Path, read: Callable[[bytes], Any]) -> Any:
    try:
        return read(read_trusted(path, LARGEST_METADATA))
    except RefusedError as error:
        raise ConfigError(f"{path}: {error}") from None


def _still_valid(found: Trusted, now: float) -> Trusted:
    if found.until is not None and found.until <= now:
        raise FetchError("the metadata is past its validUntil")
    return found
