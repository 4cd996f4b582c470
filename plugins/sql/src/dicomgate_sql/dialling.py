"""A connection to a PostgreSQL server of which an address, or a whole host, may be silent.

psycopg tries one address after the other, each for two seconds at least, which is longer than a login waits. Here the
hosts of the URL share the time, and the addresses of a host are tried in parallel.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from dicomgate.kit.connecting import first
from dicomgate.kit.failover import Failover, NoAnswerError
from dicomgate.kit.host import Address, Host
from dicomgate.kit.race import STAGGER

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_log = logging.getLogger(__name__)
_PORT = "5432"


class Dialler:
    """Connects within `seconds`, and remembers which host and which address answers."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._failover: Failover[Host] | None = None

    async def connect(self, **options: Any) -> AsyncConnection[Any]:
        """As psycopg's own, with the options that it takes. Raises psycopg.Error."""
        from psycopg import AsyncConnection, OperationalError

        hosts = _hosts(options)
        if not hosts:
            return await AsyncConnection.connect(**options)
        if self._failover is None:
            self._failover = Failover(hosts, seconds=self._seconds, kind="database server", log=_log)
        try:
            _, connection = await self._failover.ask(partial(_connect, options))
        except NoAnswerError as error:
            raise OperationalError(f"connection failed: {error}") from None
        return connection


def _hosts(options: dict[str, Any]) -> dict[str, Host]:
    """The hosts by name and port; empty if one of them is the folder of a socket."""
    names = str(options.get("host") or "").split(",")
    ports = str(options.get("port") or _PORT).split(",")
    if any(not name or name.startswith("/") for name in names):
        return {}
    ports = ports * len(names) if len(ports) == 1 else ports
    return {f"{name}:{port}": Host(name, int(port or _PORT)) for name, port in zip(names, ports, strict=True)}


async def _connect(options: dict[str, Any], host: Host, seconds: float) -> AsyncConnection[Any]:
    kind = f"database server {host.name}"
    try:
        async with asyncio.timeout(seconds):
            open_one = partial(_open, options, host)
            opened = await first(host, open_one, _discard, kind=kind, log=_log, stagger=min(STAGGER, seconds / 4))
    except TimeoutError:
        addresses = host.trouble() if host.is_name else ""
        raise NoAnswerError(addresses or f"no answer within {seconds:.2g} s") from None
    # A server that has vanished acknowledges nothing. The question hears of it in time to try a new connection, and the
    # pool drops the other kept ones, which would cost one login each. A statement that takes long is acknowledged.
    with socket.socket(fileno=os.dup(opened.fileno())) as same:
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds / 3 * 1000))
    return opened


async def _open(options: dict[str, Any], host: Host, address: Address) -> AsyncConnection[Any]:
    from psycopg import AsyncConnection, Error

    # With `hostaddr` nothing is looked up; the certificate must still be for `host`.
    where = {"host": host.name, "port": host.port, "hostaddr": str(address.socket_address[0])}
    try:
        return await AsyncConnection.connect(**{**options, **where})
    except Error as error:
        raise NoAnswerError(str(error).partition("\n")[0].removeprefix("connection failed: ")) from None


def _discard(connection: AsyncConnection[Any]) -> None:
    connection.pgconn.finish()
