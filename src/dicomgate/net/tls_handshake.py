"""A TLS handshake in steps, each a callback of the event loop: a peer that stalls holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .tls import DONE, WANT_READ, TlsError, TlsStream


class TlsHandshake:
    """Calls `done` once, or `failed` with the reason. The caller sets the deadline, and calls `cancel` at it."""

    __slots__ = ("_done", "_failed", "_fileno", "_loop", "_stream")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stream: TlsStream,
        done: Callable[[], None],
        failed: Callable[[TlsError], None],
    ) -> None:
        self._loop = loop
        self._stream = stream
        self._fileno = stream.fileno()
        self._done = done
        self._failed = failed

    def step(self) -> None:
        """Do what can be done now. Call it once: it goes on by itself until it calls back."""
        self._stop_watching()
        done, failed = self._done, self._failed
        try:
            wanted = self._stream.handshake()
        except TlsError as error:
            self.cancel()
            failed(error)
            return
        if wanted == DONE:
            self.cancel()
            done()
        else:
            watch = self._loop.add_reader if wanted == WANT_READ else self._loop.add_writer
            watch(self._fileno, self.step)

    def cancel(self) -> None:
        """Do not call back. The stream stays open."""
        self._stop_watching()
        # The callbacks' owner refers to this: a handshake that is over needs no garbage collector.
        self._done = self._failed = _no_op

    def _stop_watching(self) -> None:
        self._loop.remove_reader(self._fileno)
        self._loop.remove_writer(self._fileno)


def _no_op(*_: object) -> None:
    """No-op default callback."""
