"""The state in a Redis or Valkey, shared by the gateways of several machines.

Rule 1: each method is one run of `redis.lua` on the server, by the server's clock; see `redis_client`.
Rule 2: a server that drops keys when its memory is full would let a credential be used twice. It is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

from .protocol import Backoff, Count, Grant, Limits
from .redis_client import RedisClient
from .redis_words import SCRIPT

# A script needs all its keys on one node; a cluster places keys by what is in braces.
_KEYS = [f"dicomgate:{{state}}:{name}" for name in ("counters", "next-to-go", "forget", "known", "used", "under-way")]
_Answer = TypeVar("_Answer")


class RedisState:
    """A `SharedState` in the server at `url`, see `redis_url`."""

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        """Does not connect yet. Raises ConfigError."""
        self._limits = limits or Limits()
        self._plain_limits = asdict(self._limits)
        self._client = RedisClient(url, self._limits.deadline, SCRIPT, _drops_counters)

    async def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """See SharedState."""
        return await self._judged("take", subject, known, unknown)

    async def look(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """See SharedState."""
        return await self._judged("look", subject, known, unknown)

    async def _judged(self, what: str, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        def read(answer: Any) -> Grant:
            is_known, number, wait, under_way = answer
            if not number:
                return Grant(bool(is_known))
            held = (known if is_known else unknown)[number - 1].key
            return Grant(bool(is_known), held, None if wait == "inf" else float(wait), under_way)

        return await self._run(what, read, subject=subject, known=_plain(known), unknown=_plain(unknown))

    async def refund(self, keys: Sequence[str]) -> None:
        """See SharedState."""
        await self._run("refund", bool, refund=list(keys))

    async def ended(self, keys: Sequence[str]) -> None:
        """See SharedState."""
        await self._run("ended", bool, ended=list(keys))

    async def succeeded(
        self, subject: str, forget: Sequence[str], refund: Sequence[str], ended: Sequence[str] = ()
    ) -> None:
        """See SharedState."""
        given = {"forget": list(forget), "refund": list(refund), "ended": list(ended)}
        await self._run("succeeded", bool, 1, subject=subject, **given)

    async def first_use(self, key: str, until: datetime, made: datetime | None = None) -> bool:
        """See SharedState. What a server lost when it was restarted is not noticed here: `made` makes no difference."""
        # A duration, because the server keeps keys by its own clock.
        seconds = max(0.0, until.timestamp() - time.time()) + self._limits.skew
        return await self._first("first_use", key, seconds)

    async def unused(self, key: str, until: datetime, made: datetime | None = None) -> bool:
        """See SharedState, and `first_use`."""
        return await self._first("unused", key)

    async def _first(self, what: str, key: str, seconds: float = 0.0) -> bool:
        found = await self._run(what, {1: True, 0: False, -1: None}.__getitem__, key=key, seconds=seconds)
        if found is None:
            raise self._client.unavailable("no room for one more used key")
        return found

    async def counters(self) -> list[Count]:
        """See SharedState."""

        def read(answer: Any) -> list[Count]:
            now, (*found,) = answer
            counts = (_count(*item) for item in zip(found[::2], found[1::2], strict=True))
            kept = [count for count, forget in counts if forget > float(now)]
            return sorted(kept, key=lambda count: (count.n, count.last, count.key), reverse=True)

        return await self._run("counters", read, self._limits.listing_deadlines)

    async def clear(self, keys: Sequence[str] | None) -> int:
        """See SharedState."""
        if keys is None:
            return await self._run("clear_all", int)
        return await self._run("clear", int, forget=list(keys))

    async def close(self) -> None:
        """See SharedState."""
        await self._client.close()

    async def _run(self, function: str, read: Callable[[Any], _Answer], deadlines: int = 1, **given: object) -> _Answer:
        """What `read` makes of the answer of a function in `redis.lua`. Raises StateUnavailable."""
        return await self._client.run(function, _KEYS, read, {"limits": self._plain_limits, **given}, deadlines)


def _drops_counters(policy: str) -> bool:
    # volatile-...: only keys with an expiry are dropped; these have none.
    return policy != "noeviction" and not policy.startswith("volatile-")


def _plain(backoffs: Sequence[Backoff]) -> list[dict[str, object]]:
    return [asdict(backoff) | {"most": -1 if backoff.most is None else backoff.most} for backoff in backoffs]


def _count(key: str, value: str) -> tuple[Count, float]:
    """A counter as `redis.lua` keeps it, and when it will be forgotten."""
    n, until, _, last, forget = value.split()
    return Count(key, int(n), _moment(until), _moment(last), forget == "inf"), float(forget)


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
