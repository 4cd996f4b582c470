"""Which Redis is the master now, asked of its Sentinels by redis-py's own means.

Rule 1: the Sentinels are asked whenever a connection is opened, never in advance: a failover needs no word of it here.
Rule 2: one Sentinel that is silent has a share of the time, and the one that answered last is asked first.
Rule 3: no message quotes an answer.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from redis import exceptions
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel

from ..kit.failover import NoAnswerError
from ..kit.host import Host
from .redis_connection import OneServer, Raced
from .redis_url import Target

_REFUSES = "a Sentinel refuses the gateway: check sentinel_username and sentinel_password"


class Masters:
    """The Sentinels of one Redis."""

    def __init__(self, target: Target, within: float) -> None:
        """`within`: seconds for opening a connection, the answers of the Sentinels included."""
        self._name = target.master
        share = within / (len(target.hosts) + 1)  # one is left for the master
        self._hosts = [OneServer(*one) for one in target.hosts]
        self._sentinels = Sentinel([])  # type: ignore[no-untyped-call]
        self._sentinels.sentinels = [Redis(connection_pool=_pool(one, share, target)) for one in self._hosts]
        self._master: Host | None = None

    async def current(self) -> Host:
        """See Servers: the master that a Sentinel names."""
        try:
            name, port = await self._sentinels.discover_master(self._name)
        except MasterNotFoundError as error:
            raise NoAnswerError(self._words(str(error))) from None
        except exceptions.NoPermissionError:
            raise NoAnswerError(_REFUSES) from None
        except Exception:  # noqa: BLE001 (redis-py can raise anything when a server sends nonsense)
            raise NoAnswerError("what answers is no Sentinel: is it the right port?") from None
        if self._master is None or (self._master.name, self._master.port) != (name, port):
            if self._master is not None:
                self._master.close()
            self._master = Host(name, int(port))
        return self._master

    def _words(self, collected: str) -> str:
        """redis-py collects the errors of all Sentinels in one text, of which the classes are used here."""
        if "AuthenticationError" in collected:
            return _REFUSES
        if " - " in collected:
            return f"no Sentinel can be reached that names a master {self._name}"
        return f"the Sentinels name no master {self._name} that is up"

    def trouble(self) -> str:
        """See Servers."""
        return self._master.trouble() if self._master is not None and self._master.is_name else ""

    async def close(self) -> None:
        """See Servers."""
        if self._master is not None:
            self._master.close()
        for server in self._hosts:
            await server.close()
        for client in self._sentinels.sentinels:
            with suppress(Exception):
                await client.aclose(close_connection_pool=True)


def _pool(server: OneServer, seconds: float, target: Target) -> Any:
    return ConnectionPool(
        connection_class=Raced, servers=server, stagger=seconds / 4, context=target.tls,
        socket_timeout=seconds, socket_connect_timeout=seconds, retry=None, decode_responses=True, protocol=2,
        **target.sentinel_login,
    )  # fmt: skip
