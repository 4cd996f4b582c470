"""What an issuer publishes about itself in its discovery document (OpenID Connect Discovery 1.0, 4; RFC 8414 3).

Rule: two members are read: `issuer`, which must equal the configured one byte for byte, and the URL that is needed,
which must be https.
"""

from __future__ import annotations

import logging

from dicomgate import ConfigError
from dicomgate.kit.fetch import Fetcher, FetchError, check_url, url_problem
from dicomgate.kit.refreshed import Refreshed
from dicomgate.kit.text import told_apart

from .strict_json import NotJsonError, read_object

_log = logging.getLogger(__name__)
COOL_DOWN = 5.0
"""Seconds between two fetches of an issuer's document, so that not every login asks an issuer that is down."""


class Endpoint:
    """A URL of a provider: `url`, or when first needed the one that `issuer` names. Raises ConfigError.

    `kind` is "introspection" or "token", and `key` what the configuration calls the URL.
    """

    def __init__(self, fetcher: Fetcher, kind: str, *, url: str | None, issuer: str | None, key: str = "url") -> None:
        self._url = url
        self._discovered: Refreshed[str] | None = None
        if url is not None:
            check_url(key, url)
        elif issuer is not None:
            check_url("issuer", issuer)
            self._discovered = Refreshed(
                lambda: discovered(fetcher, issuer, f"{kind}_endpoint"),
                what=f"the {kind} endpoint of {issuer}",
                log=_log,
                describe=str,
                cool_down=COOL_DOWN,
            )
        else:
            raise ConfigError(f"{key} or issuer: one of them must say where the {kind} endpoint is")

    async def url(self) -> str:
        """The URL. Raises FetchError."""
        return await self._discovered.current() if self._discovered is not None else str(self._url)

    def doubt(self) -> None:
        """The server did not answer there: the discovery document may name another URL by now."""
        if self._discovered is not None:
            self._discovered.doubt()

    async def close(self) -> None:
        """End the fetch that is under way."""
        if self._discovered is not None:
            await self._discovered.close()


async def discovered(fetcher: Fetcher, issuer: str, name: str, until: float | None = None) -> str:
    """The URL of this name, for example "jwks_uri", in the issuer's document. Raises FetchError."""
    try:
        document = read_object(await fetcher.get(discovery_url(issuer), until=until))
    except NotJsonError as error:
        raise FetchError(f"its discovery document: {error}") from None
    if document.get("issuer") != issuer:
        raise FetchError(f"its discovery document is another issuer's: {told_apart(document.get('issuer'), issuer)}")
    if reason := url_problem(document.get(name)):
        raise FetchError(f"its discovery document: {name}: {reason}")
    return str(document[name])


def discovery_url(issuer: str) -> str:
    """The URL of the issuer's document; a "/" at the issuer's end is removed (OpenID Connect Discovery 1.0, 4)."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"
