"""The state in a Redis or Valkey, shared by the gateways of several machines.

Rule 1: each method is one run of `redis.lua` on the server, and its clock is the server's.
Rule 2: a command is sent once. redis-py would send it ten times more, and an attempt would count and wait as often;
        here it is `StateUnavailable`, and the next one finds the server again.
Rule 3: what the server says shows in no message, nor does the user or the password of the URL.
Rule 4: a server that drops keys when its memory is full would let a credential be used twice: it is not relied on.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import ConnectionPool, Redis

from ..errors import ConfigError, StateUnavailable
from ..kit.addresses import show_address
from .protocol import Backoff, Count, Grant
from .retention import Limits

SCRIPT = files("dicomgate.state").joinpath("redis.lua").read_text("utf-8")
# In braces: a cluster keeps on one node what has the same there, as a script needs it.
_KEYS = [f"dicomgate:{{state}}:{name}" for name in ("levers", "next-to-go", "forget", "pairs", "used")]
_CONNECTIONS = 16
_WORDS: dict[type[Exception], str] = {
    exceptions.AuthenticationError: "it refuses the user or the password",
    exceptions.BusyLoadingError: "it is still loading its data",
    exceptions.NoPermissionError: "its rules for this user forbid what the gateway needs",
    exceptions.OutOfMemoryError: "its memory is full (maxmemory)",
    exceptions.ReadOnlyError: "it is a replica, which cannot be written",
}
_Answer = TypeVar("_Answer")


class RedisState:
    """A `SharedState` in the server at `url`: redis://, rediss:// or unix://, with the options of redis-py."""

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        """Connect to nothing yet. Raises ConfigError."""
        self._limits = limits or Limits()
        self._plain_limits = asdict(self._limits)
        self._where = _shown(url)
        try:
            # No timeouts of its own: one deadline is around everything.
            pool: Any = ConnectionPool.from_url(
                url, max_connections=_CONNECTIONS, socket_timeout=None, socket_connect_timeout=None, retry=None,
                decode_responses=True, protocol=2,
            )  # fmt: skip
            pool.make_connection()
        except Exception:  # noqa: BLE001 (whatever an option makes it raise; it may quote a password)
            raise ConfigError("redis-py does not know an option of this URL, or not its value") from None
        self._client = Redis(connection_pool=pool)
        self._script = self._client.register_script(SCRIPT)
        # redis-py's pool that lets others wait loses a connection when one who waits to give it back is cancelled.
        self._places = asyncio.Semaphore(_CONNECTIONS)
        self._relied_on = False

    async def take(self, pair: str, if_known: Sequence[Backoff], otherwise: Sequence[Backoff]) -> Grant:
        """See SharedState."""

        def read(answer: Any) -> Grant:
            known, place, wait = answer
            if not place:
                return Grant(bool(known))
            lever = (if_known if known else otherwise)[place - 1]
            return Grant(bool(known), lever.key, None if wait == "inf" else float(wait))

        return await self._run("take", read, pair=pair, if_known=_plain(if_known), otherwise=_plain(otherwise))

    async def refund(self, keys: Sequence[str]) -> None:
        """See SharedState."""
        await self._run("refund", bool, refund=list(keys))

    async def succeeded(self, pair: str, forget: Sequence[str], refund: Sequence[str]) -> None:
        """See SharedState."""
        await self._run("succeeded", bool, pair=pair, forget=list(forget), refund=list(refund))

    async def first_use(self, key: str, until: datetime) -> bool:
        """See SharedState."""
        # A span, not a moment: the moment is of the gateway's clock, and the server keeps keys by its own.
        seconds = max(0.0, until.timestamp() - time.time()) + self._limits.skew
        found = await self._run("first_use", {1: True, 0: False, -1: None}.__getitem__, key=key, seconds=seconds)
        if found is None:
            raise StateUnavailable(f"state {self._where}: no room for one more used key")
        return found

    async def levers(self) -> list[Count]:
        """See SharedState."""

        def read(answer: Any) -> list[Count]:
            now, (*found,) = answer
            counts = (_count(*pair) for pair in zip(found[::2], found[1::2], strict=True))
            kept = [count for count, forget in counts if forget > float(now)]
            return sorted(kept, key=lambda count: (count.n, count.last, count.key), reverse=True)

        return await self._run("levers", read, self._limits.all_of_it)

    async def clear(self, keys: Sequence[str] | None) -> int:
        """See SharedState."""
        if keys is None:
            return await self._run("clear_all", int)
        return await self._run("clear", int, forget=list(keys))

    async def close(self) -> None:
        """See SharedState."""
        with suppress(Exception):
            await asyncio.wait_for(self._client.aclose(close_connection_pool=True), self._limits.deadline)

    async def _run(self, function: str, read: Callable[[Any], _Answer], deadlines: int = 1, **given: object) -> _Answer:
        """What `read` makes of the answer of a function in `redis.lua`. Raises StateUnavailable."""
        text = json.dumps({"limits": self._plain_limits, **given})
        try:
            async with asyncio.timeout(self._limits.deadline * deadlines), self._places:
                if not self._relied_on:
                    await self._rely_on()
                return read(await self._script(_KEYS, (function, text)))
        except Exception as error:  # noqa: BLE001 (a server that speaks nonsense makes redis-py raise anything)
            self._relied_on = False
            raise StateUnavailable(f"state {self._where}: {self._words(error)}") from None

    async def _rely_on(self) -> None:
        """Look whether it keeps what it is given; anew after each failure, because then it may be another one."""
        with suppress(exceptions.NoPermissionError):  # it may not be ours to see
            memory = await self._client.info("memory")
            policy = str(memory["maxmemory_policy"])
            # volatile-...: only keys with an end of their own are dropped; ours have none.
            if int(memory["maxmemory"]) and policy != "noeviction" and not policy.startswith("volatile-"):
                raise StateUnavailable("it drops keys when its memory is full: set its maxmemory-policy to noeviction")
        self._relied_on = True

    def _words(self, error: Exception) -> str:
        """What went wrong, in our words, or in redis-py's where it does not repeat the server's."""
        if isinstance(error, StateUnavailable):
            return str(error)
        if isinstance(error, TimeoutError):
            return f"no answer within {self._limits.deadline:g} s"
        if type(error) is exceptions.ConnectionError:
            return f"cannot be reached: {error}"
        return next((words for kind, words in _WORDS.items() if isinstance(error, kind)), type(error).__name__)


def _shown(url: str) -> str:
    """The URL without user, password and options. Raises ConfigError, which quotes nothing: it may be the password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or 6379
    except ValueError:
        raise ConfigError("is not a URL; in its password, write : / ? # [ ] @ % as %3A and so on") from None
    if parts.scheme == "unix" and parts.path:
        return f"unix://{parts.path}"
    if parts.scheme not in ("redis", "rediss") or not re.fullmatch("/?[0-9]*", parts.path):
        raise ConfigError("is not redis://HOST:PORT/NUMBER, rediss://HOST:PORT/NUMBER or unix:///PATH")
    return f"{parts.scheme}://{show_address(host, port)}{parts.path}"


def _plain(levers: Sequence[Backoff]) -> list[dict[str, object]]:
    return [asdict(lever) | {"most": -1 if lever.most is None else lever.most} for lever in levers]


def _count(key: str, value: str) -> tuple[Count, float]:
    """A lever as `redis.lua` keeps it, and when it will be forgotten."""
    n, until, _, last, forget = value.split()
    return Count(key, int(n), _moment(until), _moment(last), forget == "inf"), float(forget)


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
