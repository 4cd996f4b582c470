"""What the introspection server says of a token (RFC 7662): asked once for all logins that wait, and cached briefly.

Rule 1: `active` is true or false. An answer that says neither is no answer, and the login is `Unavailable`.
Rule 2: only the answer for an active token is cached, and no longer than the token lives: a token that is not active
        now may be active the next moment.
Rule 3: the cache holds no token, but its digest under a key that is made anew at each start.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import Any

from dicomgate.kit.fetch import Fetcher, FetchError

from .claims import is_moment
from .discovery import Endpoint
from .strict_json import NotJsonError, read_object

_LARGEST = 65_536
_MOST_CACHED = 1000
MOST_ASKED = 16
"""Tokens that the server is asked about at the same time: each one is a connection and a TLS handshake."""

Claims = Mapping[str, Any]


class IntrospectionCache:
    """The answers of a server, cached for `lifetime` seconds. `credentials` are the gateway's name and secret there."""

    def __init__(
        self,
        fetcher: Fetcher,
        endpoint: Endpoint,
        credentials: tuple[str, str],
        lifetime: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._endpoint = endpoint
        self._credentials = credentials
        self._lifetime = lifetime
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._cached: dict[bytes, tuple[Claims, float]] = {}
        self._asked: dict[bytes, asyncio.Task[Claims | None]] = {}

    async def claims(self, token: str) -> Claims | None:
        """What the server says of an active token; None if the token is not active. Raises FetchError."""
        digest = blake2b(token.encode(), key=self._key, digest_size=32).digest()
        claims, until = self._cached.get(digest, (None, 0.0))
        if claims is not None and self._clock() < until:
            return claims
        question = self._asked.get(digest)
        if question is None:
            if len(self._asked) >= MOST_ASKED:
                raise FetchError(f"{MOST_ASKED} tokens are being asked about already")
            question = asyncio.get_running_loop().create_task(self._ask(token))
            self._asked[digest] = question
            question.add_done_callback(partial(self._answered, digest))
        await asyncio.wait((question,))  # a login that is cancelled does not cancel the question
        return question.result()

    async def close(self) -> None:
        """End the questions that are under way."""
        questions = list(self._asked.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, self._endpoint.close(), return_exceptions=True)

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

    def _answered(self, digest: bytes, question: asyncio.Task[Claims | None]) -> None:
        del self._asked[digest]
        self._cached.pop(digest, None)  # a new answer goes to the end of the dict, away from the next eviction
        # exception() is always called: otherwise asyncio complains of one that no login was left to receive.
        claims = None if question.cancelled() or question.exception() is not None else question.result()
        if claims is not None and (seconds := min(self._lifetime, _life(claims))) > 0:
            self._cached[digest] = claims, self._clock() + seconds
        if len(self._cached) > _MOST_CACHED:
            del self._cached[next(iter(self._cached))]


def _life(claims: Claims) -> float:
    """The seconds until the token expires."""
    if "exp" not in claims:
        return float("inf")
    ends = claims["exp"]
    return ends - time.time() if is_moment(ends) else 0.0
