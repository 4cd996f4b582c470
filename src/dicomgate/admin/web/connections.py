"""HTTP on a listening socket of ours: bounded in number, size and time.

uvicorn reads and writes the messages. Its server is not used: that would take the process's signals, and wake up ten
times a second. Each connection brings one request, and is then closed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from functools import partial
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ...net.listener import Address, Listener
from ...net.tls import TlsContext

MOST = 16
"""Connections at a time. One more ends the oldest whose request has not come yet, or has its answer: a health check
gets through."""
LARGEST = 8192
"""Bytes of a request's head, and of its body."""
PATIENCE = 5.0
"""Seconds for the TLS handshake, and again for the request."""
_LONGEST = 60.0  # seconds for a connection, in which a reload must have its answer
_SHUTDOWN = 1.0  # seconds for a TLS close

# Its lines would be among those of the gateway's log, and say nothing that an operator needs.
for _name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
    logging.getLogger(_name).disabled = True


def configured(app: Any) -> Config:
    """How uvicorn reads and answers for an ASGI application of ours."""
    config = Config(
        app,
        interface="asgi3",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=LARGEST,
    )
    config.load()
    return config


class Connections:
    """Serves an ASGI application from now until `close`, in the running loop. `tls` counts for new connections."""

    def __init__(self, sock: socket.socket, tls: TlsContext | None, app: Any) -> None:
        self.socket = sock
        self.tls = tls
        self._config = configured(app)
        self._state = ServerState()
        self._loop = asyncio.get_running_loop()
        self._serving: dict[asyncio.Task[None], _Connection | None] = {}
        self._listener = Listener(self._loop, sock, self._accepted)

    async def close(self) -> None:
        """Stop listening, and end what is under way."""
        self._listener.close()
        for task in [*self._serving]:
            task.cancel()
        if self._serving:
            await asyncio.wait([*self._serving])

    def _accepted(self, connection: socket.socket, _: Address) -> None:
        if len(self._serving) >= MOST:
            waiting = (task for task, http in self._serving.items() if http is None or not http.busy)
            if (oldest := next(waiting, None)) is None:
                connection.close()
                return
            del self._serving[oldest]
            oldest.cancel()
        task = self._loop.create_task(self._serve(connection))
        self._serving[task] = None
        # Here and not in the task, because one that is cancelled before it begins does nothing at all.
        task.add_done_callback(partial(self._served, connection))

    async def _serve(self, connection: socket.socket) -> None:
        times = {"ssl_handshake_timeout": PATIENCE, "ssl_shutdown_timeout": _SHUTDOWN} if self.tls else {}
        with suppress(OSError):  # no TLS handshake, or none in time
            transport, http = await self._loop.connect_accepted_socket(
                lambda: _Connection(self._config, self._state), connection, ssl=self.tls, **times
            )
            try:
                self._serving[cast("asyncio.Task[None]", asyncio.current_task())] = http
                await asyncio.wait({http.ended}, timeout=PATIENCE)
                if http.cycle is not None:
                    await asyncio.wait({http.ended}, timeout=_LONGEST)
            finally:
                transport.abort()

    def _served(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        connection.close()
        self._serving.pop(task, None)


class _Connection(H11Protocol):
    """One connection. `busy` is true while its request is answered; `ended` is done when it is closed."""

    def __init__(self, config: Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self.ended: asyncio.Future[None] = self.loop.create_future()

    @property
    def busy(self) -> bool:
        """The whole request has come, and not the whole answer been given: what is left then is the client's close."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport has closed it."""
        super().connection_lost(exc)
        if not self.ended.done():
            self.ended.set_result(None)
