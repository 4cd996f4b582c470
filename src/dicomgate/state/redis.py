"""The state in a Redis or Valkey, shared by the gateways of several machines.

Rule 1: each method is one run of `redis.lua` on the server, by the server's clock.
Rule 2: a command is sent once. redis-py would repeat it up to ten times, and each repetition would count an attempt.
        Here a failure is `StateUnavailable`, and the next command connects again.
Rule 3: no message quotes the server's answer, or the user or password of the URL.
Rule 4: a server that drops keys when its memory is full would let a credential be used twice. It is refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import ConnectionPool, Redis, UnixDomainSocketConnection

from ..errors import StateUnavailable
from .protocol import Backoff, Count, Grant, Limits
from .redis_connection import OneServer, Raced, Servers
from .redis_sentinel import Masters
from .redis_url import Target, read_url
from .redis_words import SCRIPT, in_words

# A script needs all its keys on one node; a cluster places keys by what is in braces.
_KEYS = [f"dicomgate:{{state}}:{name}" for name in ("counters", "next-to-go", "forget", "known", "used")]
_CONNECTIONS = 16
_Answer = TypeVar("_Answer")


class RedisState:
    """A `SharedState` in the server at `url`, see `redis_url`."""

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        """Does not connect yet. Raises ConfigError."""
        self._limits = limits or Limits()
        self._plain_limits = asdict(self._limits)
        target = read_url(url)
        self._where = target.shown
        self._servers = _servers(target, self._limits.deadline)
        # No timeouts of the client: one deadline covers everything.
        options: dict[str, Any] = {
            "max_connections": _CONNECTIONS, "socket_timeout": None, "socket_connect_timeout": None, "retry": None,
            "decode_responses": True, "protocol": 2, **target.login,
        }  # fmt: skip
        if self._servers is None:
            options |= {"connection_class": UnixDomainSocketConnection, "path": target.path}
        else:
            # An address has a quarter of the time to itself, so that two that are silent leave half for the third.
            options |= {"connection_class": Raced, "servers": self._servers, "context": target.tls}
            options |= {"stagger": self._limits.deadline / 4}
        pool: Any = ConnectionPool(**options)
        self._pool = pool
        self._client = Redis(connection_pool=pool)
        self._script = self._client.register_script(SCRIPT)
        # redis-py's BlockingConnectionPool loses a connection if a caller that returns it is cancelled.
        self._free_connections = asyncio.Semaphore(_CONNECTIONS)
        self._checked = False

    async def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """See SharedState."""
        return await self._judged("take", subject, known, unknown)

    async def look(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """See SharedState."""
        return await self._judged("look", subject, known, unknown)

    async def _judged(self, what: str, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        def read(answer: Any) -> Grant:
            is_known, number, wait = answer
            if not number:
                return Grant(bool(is_known))
            held = (known if is_known else unknown)[number - 1].key
            return Grant(bool(is_known), held, None if wait == "inf" else float(wait))

        return await self._run(what, read, subject=subject, known=_plain(known), unknown=_plain(unknown))

    async def refund(self, keys: Sequence[str]) -> None:
        """See SharedState."""
        await self._run("refund", bool, refund=list(keys))

    async def succeeded(self, subject: str, forget: Sequence[str], refund: Sequence[str]) -> None:
        """See SharedState."""
        await self._run("succeeded", bool, subject=subject, forget=list(forget), refund=list(refund))

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
            raise StateUnavailable(f"state {self._where}: no room for one more used key")
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
        with suppress(Exception):
            async with asyncio.timeout(self._limits.deadline):
                if self._servers is not None:
                    await self._servers.close()
                await self._client.aclose(close_connection_pool=True)

    async def _run(self, function: str, read: Callable[[Any], _Answer], deadlines: int = 1, **given: object) -> _Answer:
        """What `read` makes of the answer of a function in `redis.lua`. Raises StateUnavailable."""
        text = json.dumps({"limits": self._plain_limits, **given})
        try:
            async with asyncio.timeout(self._limits.deadline * deadlines), self._free_connections:
                if not self._checked:
                    await self._check_server()
                return read(await self._script(_KEYS, (function, text)))
        except Exception as error:  # noqa: BLE001 (redis-py can raise anything when a server sends nonsense)
            self._checked = False
            if isinstance(error, TimeoutError | exceptions.ReadOnlyError):
                await self._disconnect_idle()
            raise StateUnavailable(f"state {self._where}: {self._words(error)}") from None

    async def _disconnect_idle(self) -> None:
        """If the server has vanished or is no master any more, each kept connection would fail one more question."""
        for connection in list(self._pool._available_connections):
            with suppress(Exception):
                await connection.disconnect(nowait=True)

    async def _check_server(self) -> None:
        """Raises StateUnavailable if the server drops keys. Asked again after a failure: the server may be another."""
        with suppress(exceptions.NoPermissionError):  # the ACL may forbid INFO
            memory = await self._client.info("memory")
            policy = str(memory["maxmemory_policy"])
            # volatile-...: only keys with an expiry are dropped; these have none.
            if int(memory["maxmemory"]) and policy != "noeviction" and not policy.startswith("volatile-"):
                raise StateUnavailable("it drops keys when its memory is full: set its maxmemory-policy to noeviction")
        self._checked = True

    def _words(self, error: Exception) -> str:
        """What went wrong, without quoting the server."""
        if isinstance(error, StateUnavailable):
            return str(error)
        if isinstance(error, TimeoutError):
            addresses = self._servers.trouble() if self._servers is not None else ""
            return addresses or f"no answer within {self._limits.deadline:g} s"
        if type(error) is exceptions.ConnectionError:
            return f"cannot be reached: {error}"
        return in_words(error)


def _servers(target: Target, deadline: float) -> Servers | None:
    """The servers of the URL; None for a socket in the file system."""
    if target.master:
        return Masters(target, deadline)
    return OneServer(*target.hosts[0]) if not target.path else None


def _plain(backoffs: Sequence[Backoff]) -> list[dict[str, object]]:
    return [asdict(backoff) | {"most": -1 if backoff.most is None else backoff.most} for backoff in backoffs]


def _count(key: str, value: str) -> tuple[Count, float]:
    """A counter as `redis.lua` keeps it, and when it will be forgotten."""
    n, until, _, last, forget = value.split()
    return Count(key, int(n), _moment(until), _moment(last), forget == "inf"), float(forget)


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
