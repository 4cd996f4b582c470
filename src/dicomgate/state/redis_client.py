"""A script in a Redis, run with a deadline: each run is one atomic step on the server.

Rule 1: a command is sent once. redis-py would repeat it up to ten times, and each repetition would count an attempt.
        Here a failure is `StateUnavailable`, and the next command connects again.
Rule 2: no message quotes the server's answer, or the user or password of the URL.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import ConnectionPool, Redis, UnixDomainSocketConnection

from ..errors import StateUnavailable
from .redis_connection import OneServer, Raced, Servers
from .redis_sentinel import Masters
from .redis_url import Target, read_url
from .redis_words import in_words

_CONNECTIONS = 16
_DROPS = "it drops keys when its memory is full: set its maxmemory-policy to noeviction"
_Answer = TypeVar("_Answer")


class RedisClient:
    """Runs the functions of one `script` in the server at `url`, see `redis_url`.

    `evicts` says whether a server with this maxmemory-policy could drop a key of the script while it counts. Such a
    server is refused.
    """

    def __init__(self, url: str, deadline: float, script: str, evicts: Callable[[str], bool]) -> None:
        """Does not connect yet. Raises ConfigError."""
        self._deadline = deadline
        self._evicts = evicts
        target = read_url(url)
        self._where = target.shown
        self.servers = _servers(target, deadline)
        # No timeouts of the client: one deadline covers everything.
        options: dict[str, Any] = {
            "max_connections": _CONNECTIONS, "socket_timeout": None, "socket_connect_timeout": None, "retry": None,
            "decode_responses": True, "encoding_errors": "replace", "protocol": 2, **target.login,
        }  # fmt: skip
        if self.servers is None:
            options |= {"connection_class": UnixDomainSocketConnection, "path": target.path}
        else:
            # An address has a quarter of the time to itself, so that two that are silent leave half for the third.
            options |= {"connection_class": Raced, "servers": self.servers, "context": target.tls}
            options |= {"stagger": deadline / 4}
        pool: Any = ConnectionPool(**options)
        self.pool = pool
        self._redis = Redis(connection_pool=pool)
        self._text = script
        self._script = self._redis.register_script(script)
        # redis-py's BlockingConnectionPool loses a connection if a caller that returns it is cancelled.
        self._free_connections = asyncio.Semaphore(_CONNECTIONS)
        self._checked = False

    async def run(
        self,
        function: str,
        keys: Sequence[str],
        read: Callable[[Any], _Answer],
        given: Mapping[str, object],
        deadlines: int = 1,
    ) -> _Answer:
        """What `read` makes of the answer of a function of the script, which gets `given`. Raises StateUnavailable."""
        text = json.dumps(given)
        try:
            async with asyncio.timeout(self._deadline * deadlines), self._free_connections:
                if not self._checked:
                    await self._check_server()
                return read(await self._script(keys, (function, text)))
        except Exception as error:  # noqa: BLE001 (redis-py can raise anything when a server sends nonsense)
            self._checked = False
            if isinstance(error, TimeoutError | exceptions.ReadOnlyError):
                await self._disconnect_idle()
            raise self.unavailable(self._words(error)) from None

    def unavailable(self, why: str) -> StateUnavailable:
        """The error that says so of this server."""
        return StateUnavailable(f"state {self._where}: {why}")

    async def close(self) -> None:
        """Close the connections. Never raises."""
        with suppress(Exception):
            async with asyncio.timeout(self._deadline):
                if self.servers is not None:
                    await self.servers.close()
                await self._redis.aclose(close_connection_pool=True)

    async def _disconnect_idle(self) -> None:
        """If the server has vanished or is no master any more, each kept connection would fail one more question."""
        for connection in list(self.pool._available_connections):
            with suppress(Exception):
                await connection.disconnect(nowait=True)

    async def _check_server(self) -> None:
        """Raises StateUnavailable if the server drops keys. Asked again after a failure: the server may be another."""
        with suppress(exceptions.NoPermissionError):  # the ACL may forbid INFO
            memory = await self._redis.info("memory")
            if int(memory["maxmemory"]) and self._evicts(str(memory["maxmemory_policy"])):
                raise StateUnavailable(_DROPS)
        self._checked = True

    def _words(self, error: Exception) -> str:
        """What went wrong, without quoting the server."""
        if isinstance(error, StateUnavailable):
            return str(error)
        if isinstance(error, TimeoutError):
            addresses = self.servers.trouble() if self.servers is not None else ""
            return addresses or f"no answer within {self._deadline:g} s"
        if type(error) is exceptions.ConnectionError:
            return f"cannot be reached: {error}"
        return in_words(error, self._text)


def _servers(target: Target, deadline: float) -> Servers | None:
    """The servers of the URL; None for a socket in the file system."""
    if target.master:
        return Masters(target, deadline)
    return OneServer(*target.hosts[0]) if not target.path else None
