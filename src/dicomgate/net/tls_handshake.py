"""A TLS handshake in steps, each a callback of the event loop: a peer that stalls holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .tls import DONE, WANT_READ, WANT_TURN, TlsError
from .tls_stream import TlsStream
from .turns import Turns


class TlsHandshake:
    """Calls `done` once, or `failed` with the reason. The caller sets the deadline, and calls `cancel` at it.

    Its steps share their `turns` with those of others.
    """

    __slots__ = ("_done", "_failed", "_fileno", "_loop", "_stream", "_turns")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        stream: TlsStream,
        done: Callable[[], None],
        failed: Callable[[TlsError], None],
        turns: Turns,
    ) -> None:
        self._loop = loop
        self._stream = stream
        self._fileno = stream.fileno()
        self._done = done
        self._failed = failed
        self._turns = turns

    def step(self) -> None:
        """Do what can be done now. Call it once: it goes on by itself until it calls back."""
        self._stop_watching()
        self._turns.take(self._step)

    def _step(self) -> None:
        done, failed = self._done, self._failed
        if done is _no_op:
            return  # cancelled while it waited for its turn
        try:
            wanted = self._stream.handshake()
        except TlsError as error:
            self.cancel()
            failed(error)
            return
        if wanted == DONE:
            self.cancel()
            done()
        elif wanted == WANT_TURN:
            self._turns.later(self._step)
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
