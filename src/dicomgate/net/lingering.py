"""The last seconds of a connection: what is unsent goes out, and what still comes is discarded.

A close with something unread would be a RST, and could overtake the last PDU that we sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .connection import Connection
from .tls_stream import TlsStream


def linger_close(
    connection: Connection, scratch: memoryview, seconds: float, gone: Callable[[], None], *, at_once: bool = False
) -> None:
    """Send what is unsent, half-close, discard what still comes, and close at the peer's end.

    The peer has so many seconds; while it takes what is unsent, they begin anew. `at_once`: nothing more can come.
    `gone` is called when the connection is closed. What is discarded is read into `scratch`.
    """
    if (at_once or connection.peer_ended) and not connection.unsent:
        if isinstance(connection.stream, TlsStream):
            connection.end()  # close_notify; for plain TCP the close says it all
        connection.close()
    if connection.closed:
        gone()
    else:
        _Lingering(connection, scratch, seconds, gone)


class _Lingering:
    """A connection between its half-close and its close."""

    def __init__(self, connection: Connection, scratch: memoryview, seconds: float, gone: Callable[[], None]) -> None:
        stream = connection.stream
        self._connection = connection
        self._scratch = scratch
        self._seconds = seconds
        self._gone = gone
        self._discard = stream.pass_over if isinstance(stream, TlsStream) else stream.recv_into
        self._timer: asyncio.TimerHandle = connection.loop.call_later(seconds, self._late)
        connection.on_drained, connection.on_broken = None, self._over
        connection.pause_reading()
        connection.end()
        connection.read_with(self._readable)

    def _readable(self) -> None:
        try:
            if self._discard(self._scratch):
                return
        except BlockingIOError:
            return
        except OSError:
            self._over()  # the peer has broken the connection: that is an end too
            return
        if self._connection.unsent:  # the peer may read on
            self._connection.pause_reading()
            self._connection.on_drained = self._over
        else:
            self._over()

    def _late(self) -> None:
        connection = self._connection
        left = connection.moved + self._seconds - connection.loop.time()
        if left > 0 and connection.unsent:
            self._timer = connection.loop.call_later(left, self._late)
        else:
            self._over()

    def _over(self, _: OSError | None = None) -> None:
        self._timer.cancel()
        self._connection.close()
        self._gone()
