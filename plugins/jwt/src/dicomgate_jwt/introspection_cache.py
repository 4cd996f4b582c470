"""What the introspection server says of a token (RFC 7662): asked once for all logins that wait, and cached briefly.

Rule 1: `active` is true or false. An answer that says neither is no answer, and the login is `Unavailable`.
Rule 2: only the answer for an active token is cached, and no longer than the token lives: a token that is not active
        now may be active the next moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dicomgate.kit.fetch import Fetcher, FetchError

from .asked_once import AskedOnce
from .claims import is_moment
from .discovery import Endpoint
from .strict_json import NotJsonError, read_object

_LARGEST = 65_536

Claims = Mapping[str, Any]


class IntrospectionCache(AskedOnce[Claims | None]):
    """The answers of a server, cached for `lifetime` seconds. `credentials` are the gateway's name and secret there."""

    def __init__(
        self,
        fetcher: Fetcher,
        endpoint: Endpoint,
        credentials: tuple[str, str],
        lifetime: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(lambda claims: 0.0 if claims is None else min(lifetime, _life(claims)), clock)
        self._fetcher = fetcher
        self._endpoint = endpoint
        self._credentials = credentials

    async def claims(self, token: str) -> Claims | None:
        """What the server says of an active token; None if the token is not active. Raises FetchError."""
        return await self.about(token.encode(), partial(self._ask, token))

    async def close(self) -> None:
        """End the questions that are under way."""
        await super().close()
        await self._endpoint.close()

    async def _ask(self, token: str) -> Claims | None:
        until = self._fetcher.until()
        url = await self._endpoint.url()
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            body = await self._fetcher.post(url, form, self._credentials, until=until)
        except FetchError:
            self._endpoint.doubt()
            raise
        if len(body) > _LARGEST:
            raise FetchError(f"its answer has more than {_LARGEST} bytes")
        try:
            answer = read_object(body)
        except NotJsonError as error:
            raise FetchError(f"its answer: {error}") from None
        # RFC 7662 2.2: "active. REQUIRED. Boolean indicator": neither 1 nor "true".
        if answer.get("active") is True:
            return answer
        if answer.get("active") is False:
            return None
        raise FetchError("its answer does not say whether the token is active")


def _life(claims: Claims) -> float:
    """The seconds until the token expires."""
    if "exp" not in claims:
        return float("inf")
    ends = claims["exp"]
    return ends - time.time() if is_moment(ends) else 0.0
