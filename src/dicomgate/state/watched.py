"""A state that somebody watches: how long each question to it takes, and whether it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from time import perf_counter
from typing import TypeAlias, TypeVar

from .protocol import Backoff, Count, Grant, SharedState, StateUnavailable

_Answer = TypeVar("_Answer")
StateWatcher: TypeAlias = Callable[[str, float, bool], None]
"""Called in the event loop with the method that was called, the seconds it took, and whether it answered."""


class WatchedState:
    """A `SharedState` that hands all questions on to `state`, and tells its `watchers` of each."""

    def __init__(self, state: SharedState) -> None:
        self.watchers: list[StateWatcher] = []
        self._state = state

    async def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """See `SharedState`, as for all that follow."""
        return await self._watched("take", self._state.take(subject, known, unknown))

    async def look(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """Told as "look"."""
        return await self._watched("look", self._state.look(subject, known, unknown))

    async def refund(self, keys: Sequence[str]) -> None:
        """Told as "refund"."""
        await self._watched("refund", self._state.refund(keys))

    async def ended(self, keys: Sequence[str]) -> None:
        """Told as "ended"."""
        await self._watched("ended", self._state.ended(keys))

    async def succeeded(
        self, subject: str, forget: Sequence[str], refund: Sequence[str], ended: Sequence[str] = ()
    ) -> None:
        """Told as "succeeded"."""
        await self._watched("succeeded", self._state.succeeded(subject, forget, refund, ended))

    async def first_use(self, key: str, until: datetime, made: datetime | None = None) -> bool:
        """Told as "first_use"."""
        return await self._watched("first_use", self._state.first_use(key, until, made))

    async def unused(self, key: str, until: datetime, made: datetime | None = None) -> bool:
        """Told as "unused"."""
        return await self._watched("unused", self._state.unused(key, until, made))

    async def counters(self) -> list[Count]:
        """Told as "counters"."""
        return await self._watched("counters", self._state.counters())

    async def clear(self, keys: Sequence[str] | None) -> int:
        """Told as "clear"."""
        return await self._watched("clear", self._state.clear(keys))

    async def close(self) -> None:
        """Not told."""
        await self._state.close()

    async def _watched(self, question: str, answer: Awaitable[_Answer]) -> _Answer:
        began = perf_counter()
        try:
            answered = await answer
        except StateUnavailable:
            self._tell(question, began, False)
            raise
        self._tell(question, began, True)
        return answered

    def _tell(self, question: str, began: float, answered: bool) -> None:
        seconds = perf_counter() - began
        for watch in self.watchers:
            watch(question, seconds, answered)
