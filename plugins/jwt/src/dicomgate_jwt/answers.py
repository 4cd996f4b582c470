"""What a server says of a token (RFC 7662): asked once for all who wait, and remembered for a moment.

Rule 1: `active` is true or false. An answer that says neither is none, and nobody could look.
Rule 2: only an active token's answer is remembered, and no longer than the token lives: another one may be active the
        next moment.
Rule 3: no token is remembered: what stands for it is a digest under a key that is made anew at every start.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from typing import Any, Protocol

from dicomgate.kit.fetch import Fetcher, FetchError

from .claims import is_moment
from .strict_json import NotJsonError, read_object

_LARGEST = 65_536
_MOST_REMEMBERED = 1000
MOST_ASKED = 16
"""Tokens that are asked about at the same time: each is a connection and a TLS handshake."""

Claims = Mapping[str, Any]


class Place(Protocol):
    """Where the server is asked."""

    async def url(self, until: float) -> str:
        """The URL, by then in the loop's time. Raises FetchError."""
        ...

    def doubt(self) -> None:
        """It does not answer there."""
        ...


class Fixed:
    """It is asked where the operator says."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def url(self, until: float) -> str:
        """The URL."""
        return self._url

    def doubt(self) -> None:
        """The operator says so, and nobody else."""


class Answers:
    """The answers of one server. `credentials` are the gateway's; an answer is remembered for `remember` seconds."""

    def __init__(
        self,
        fetcher: Fetcher,
        place: Place,
        credentials: tuple[str, str],
        remember: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._place = place
        self._credentials = credentials
        self._remember = remember
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, tuple[Claims, float]] = {}
        self._asked: dict[bytes, asyncio.Task[Claims | None]] = {}

    async def about(self, token: str) -> Claims | None:
        """What the server says of an active token; None if it is not active. Raises FetchError."""
        digest = blake2b(token.encode(), key=self._key, digest_size=32).digest()
        claims, until = self._remembered.get(digest, (None, 0.0))
        if claims is not None and self._clock() < until:
            return claims
        question = self._asked.get(digest)
        if question is None:
            if len(self._asked) >= MOST_ASKED:
                raise FetchError(f"{MOST_ASKED} tokens are being asked about already")
            question = asyncio.get_running_loop().create_task(self._ask(token))
            self._asked[digest] = question
            question.add_done_callback(partial(self._answered, digest))
        await asyncio.wait((question,))  # which does not cancel it with who waits
        return question.result()

    async def close(self) -> None:
        """Ask no more."""
        questions = list(self._asked.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    async def _ask(self, token: str) -> Claims | None:
        until = self._fetcher.until()
        url = await self._place.url(until)
        form = {"token": token, "token_type_hint": "access_token"}
        try:
            body = await self._fetcher.post(url, form, self._credentials, until=until)
        except FetchError:
            self._place.doubt()
            raise
        if len(body) > _LARGEST:
            raise FetchError(f"its answer has more than {_LARGEST} bytes")
        try:
            answer = read_object(body)
        except NotJsonError as error:
            raise FetchError(f"its answer: {error}") from None
        # RFC 7662 2.2: "active. REQUIRED. Boolean indicator": no 1, and no "true".
        if answer.get("active") is True:
            return answer
        if answer.get("active") is False:
            return None
        raise FetchError("its answer does not say whether the token is active")

    def _answered(self, digest: bytes, question: asyncio.Task[Claims | None]) -> None:
        del self._asked[digest]
        self._remembered.pop(digest, None)  # so that what is new stands last
        if question.cancelled() or question.exception() is not None:  # which nobody may be left to look at
            return
        claims = question.result()
        if claims is None:
            return
        seconds = min(self._remember, _life(claims))
        if seconds > 0:
            self._remembered[digest] = claims, self._clock() + seconds
        if len(self._remembered) > _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]


def _life(claims: Claims) -> float:
    """The seconds that a token still has."""
    if "exp" not in claims:
        return float("inf")
    ends = claims["exp"]
    return ends - time.time() if is_moment(ends) else 0.0
