"""Answers about tokens: asked once for all associations that wait for the same one, and remembered while they count.

Rule: no token that was asked about is remembered, but its digest under a key that is made anew at each start.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from dicomgate.kit.fetch import FetchError

_MOST_CACHED = 1000
MOST_ASKED = 16
"""Tokens that a server is asked about at the same time: each one is a connection and a TLS handshake."""

T = TypeVar("T")


class AskedOnce(Generic[T]):
    """Remembers each answer for as many seconds as `lives` says of it; 0: not at all. For one event loop."""

    def __init__(self, lives: Callable[[T], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._lives = lives
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._cached: dict[bytes, tuple[T, float]] = {}
        self._asked: dict[bytes, asyncio.Task[T]] = {}

    async def about(self, token: bytes, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The remembered answer, or that of `ask`. Raises what `ask` raises, and FetchError if too many are asked."""
        digest = self._digest(token)
        if (cached := self._cached.get(digest)) is not None and self._clock() < cached[1]:
            return cached[0]
        question = self._asked.get(digest)
        if question is None:
            if len(self._asked) >= MOST_ASKED:
                raise FetchError(f"{MOST_ASKED} tokens are being asked about already")
            question = asyncio.get_running_loop().create_task(ask())
            self._asked[digest] = question
            question.add_done_callback(partial(self._answered, digest))
        await asyncio.wait((question,))  # an association that is cancelled does not cancel the question
        return question.result()

    def forget(self, token: bytes) -> None:
        """What is remembered about this token counts no more."""
        self._cached.pop(self._digest(token), None)

    async def close(self) -> None:
        """End the questions that are under way."""
        questions = list(self._asked.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    def _digest(self, token: bytes) -> bytes:
        return blake2b(token, key=self._key, digest_size=32).digest()

    def _answered(self, digest: bytes, question: asyncio.Task[T]) -> None:
        del self._asked[digest]
        self._cached.pop(digest, None)  # a new answer goes to the end of the dict, away from the next eviction
        # exception() is always called: otherwise asyncio complains of one that no login was left to receive.
        if not question.cancelled() and question.exception() is None:
            answer = question.result()
            if (seconds := self._lives(answer)) > 0:
                self._cached[digest] = answer, self._clock() + seconds
        if len(self._cached) > _MOST_CACHED:
            del self._cached[next(iter(self._cached))]
