"""What an issuer says of itself in its discovery document (OpenID Connect Discovery 1.0, 4; RFC 8414 3).

Rule: of the document the issuer, which must be the configured one byte for byte, and the URL that was asked for are
read. That URL must be https like all others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from dicomgate.kit.fetch import Fetcher, FetchError, url_problem

from .strict_json import NotJsonError, read_object

COOL_DOWN = 5.0
"""Seconds between two looks at an issuer's document: an issuer that is down is not asked by each login."""


class Endpoint:
    """A URL that an issuer's document has under this name: looked for when it is first needed, then remembered."""

    def __init__(self, fetcher: Fetcher, issuer: str, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetcher = fetcher
        self._issuer = issuer
        self._name = name
        self._clock = clock
        self._again = float("-inf")
        self._url: str | None = None
        self._failed = ""
        self._looking = asyncio.Lock()

    async def url(self, until: float) -> str:
        """The URL. Raises FetchError: one look's failure is that of all who waited for it."""
        async with self._looking:
            if self._url is None:
                if self._clock() < self._again:
                    raise FetchError(self._failed)
                self._again = self._clock() + COOL_DOWN
                try:
                    self._url = await discovered(self._fetcher, self._issuer, self._name, until=until)
                except FetchError as error:
                    self._failed = str(error)
                    raise
            return self._url

    def doubt(self) -> None:
        """What is there does not answer: the document may say something else by now."""
        if self._clock() >= self._again:
            self._url = None


async def discovered(fetcher: Fetcher, issuer: str, name: str, *, until: float | None = None) -> str:
    """The URL of this name in the issuer's document, "jwks_uri" for one. Raises FetchError."""
    try:
        document = read_object(await fetcher.get(discovery_url(issuer), until=until))
    except NotJsonError as error:
        raise FetchError(f"its discovery document: {error}") from None
    if document.get("issuer") != issuer:
        raise FetchError("its discovery document is another issuer's")
    if reason := url_problem(document.get(name)):
        raise FetchError(f"its discovery document: {name}: {reason}")
    return str(document[name])


def discovery_url(issuer: str) -> str:
    """OpenID Connect Discovery 1.0, 4: a "/" at the issuer's end is removed first."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"
