"""One established association: bytes both ways, every PDU header seen, until it ends.

Law: what breaks the protocol is not forwarded; it is an A-ABORT to both sides, or, to a side that stands in the middle
of a PDU, a closed connection. There is exactly one Closed record, with the first cause.

Both directions of all associations read into one buffer, which is emptied before any other callback runs: an idle
association costs its sockets and two small objects.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..association.pdv_stream import PdvStream
from ..events.events import Cause
from ..wire.reject_abort import NOT_SPECIFIED, PduError
from .connection import Connection

_log = logging.getLogger("dicomgate.gateway")
PARTING = 5.0
"""Seconds that a peer has for closing its connection once the association is over."""


class Ended(Protocol):
    """What the relay calls once, when the association is over."""

    def __call__(self, cause: Cause, detail: str, from_client: Direction, from_upstream: Direction, /) -> None:
        """Record the cause and what was relayed."""


class Direction:
    """From one leg to the other."""

    __slots__ = ("bytes", "ended", "flow", "from_client", "held", "sink", "source", "waiting")

    def __init__(self, source: Connection, sink: Connection, flow: PdvStream, from_client: bool) -> None:
        self.source = source
        self.sink = sink
        self.flow = flow
        self.from_client = from_client
        self.held = b""
        self.bytes = 0
        self.ended = False
        self.waiting: float | None = None  # since when the sink has not taken all that was sent


class Relay:
    """Takes over both legs. `ended` is called once with the cause, `gone` for each connection that is closed."""

    __slots__ = ("_active", "_buffer", "_end", "_ended", "_finished", "_gone", "_idle_timeout", "_loop",
                 "_timer", "_view", "directions")  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        buffer: bytearray,
        client: Connection,
        upstream: Connection,
        flows: tuple[PdvStream, PdvStream],
        idle_timeout: float,
        ended: Ended,
        gone: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._idle_timeout = idle_timeout
        self._ended = ended
        self._gone = gone
        self._finished = False
        self._end: tuple[Cause, str] | None = None  # why it is ending, known before both sides have closed
        self.directions = (
            Direction(client, upstream, flows[0], from_client=True),
            Direction(upstream, client, flows[1], from_client=False),
        )
        self._active = loop.time()
        self._timer = loop.call_later(idle_timeout, self._check_idle)
        for leg in (client, upstream):
            leg.on_drained = leg.on_broken = None

    def start(self, early: bytes) -> None:
        """Begin; `early` is what the upstream sent right behind its A-ASSOCIATE-AC."""
        for direction in self.directions:
            if direction.sink.unsent:
                self._await_drain(direction)
            else:
                self._resume(direction)
        if early:
            self._buffer[: len(early)] = early
            self._forward(self.directions[1], len(early))

    def abort(self, cause: Cause, detail: str = "") -> None:
        """End the association from here: an A-ABORT to each side that can read one."""
        self._finish(cause, detail, NOT_SPECIFIED.encode())

    def _other(self, direction: Direction) -> Direction:
        return self.directions[direction.from_client]

    def _resume(self, direction: Direction) -> None:
        direction.waiting = None
        if not direction.ended and not direction.sink.unsent:
            direction.source.read_with(partial(self._readable, direction))

    def _readable(self, direction: Direction) -> None:
        try:
            self._read(direction)
        except Exception:  # noqa: BLE001
            # A defect of ours ends this association and no other; unhandled, it would come again at once and for ever.
            _log.exception("a defect of the gateway")
            self.abort(Cause.DEFECT, "see the log")

    def _read(self, direction: Direction) -> None:
        held = len(direction.held)
        try:
            count = direction.source.receive(self._view[held:])
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(direction, error)
            return
        if not count:
            self._source_ended(direction)
            return
        self._buffer[:held] = direction.held
        self._forward(direction, held + count)
        direction.source.read_pending()

    def _forward(self, direction: Direction, end: int) -> None:
        """Pass on what may be passed of the first `end` bytes of the buffer; keep the rest, part of a header."""
        self._active = self._loop.time()
        flow = direction.flow
        try:
            passed = flow.walk(self._buffer, end, self._other(direction).flow)
        except PduError as error:
            self._violated(direction, error)
            return
        direction.held = b"" if passed == end else bytes(self._view[passed:end])
        if not self._pass(direction, passed):
            return
        if flow.aborted is not None:
            by = Cause.ABORTED_BY_CLIENT if direction.from_client else Cause.ABORTED_BY_UPSTREAM
            self._finish(by, str(flow.aborted))
        elif flow.released:
            self._begin_end(Cause.RELEASED, "")

    def _pass(self, direction: Direction, length: int) -> bool:
        """Send the first bytes of the buffer; False if that ended the association."""
        direction.bytes += length
        try:
            if length and not direction.sink.send(self._view[:length]):
                self._await_drain(direction)
        except OSError as error:
            self._lost(self._other(direction), error)
            return False
        return True

    def _await_drain(self, direction: Direction) -> None:
        direction.source.pause_reading()
        if direction.waiting is None:
            direction.waiting = self._loop.time()
        direction.sink.on_drained = partial(self._resume, direction)
        # The sink of one direction is the source of the other.
        direction.sink.on_broken = partial(self._lost, self._other(direction))

    def _violated(self, direction: Direction, error: PduError) -> None:
        if not self._pass(direction, direction.flow.safe):
            return
        cause = Cause.CLIENT_VIOLATION if direction.from_client else Cause.UPSTREAM_VIOLATION
        _tell(direction.sink, error.answer.encode(), direction.flow.boundary)
        _tell(direction.source, error.answer.encode(), self._other(direction).flow.between_pdus)
        self._finish(cause, str(error))

    def _source_ended(self, direction: Direction) -> None:
        direction.ended = True
        direction.source.pause_reading()
        if self._end is None:
            direction.sink.end()
        self._begin_end(Cause.CLIENT_GONE if direction.from_client else Cause.UPSTREAM_GONE, "without a release")
        if self._end is not None and (self._end[0] is Cause.RELEASED or self._other(direction).ended):
            self._finish(*self._end)

    def _lost(self, direction: Direction, error: OSError) -> None:
        """The connection that is the source of this direction is broken."""
        direction.source.close()
        if self._end is None:
            _tell(direction.sink, NOT_SPECIFIED.encode(), direction.flow.between_pdus)
            self._end = (
                Cause.CLIENT_GONE if direction.from_client else Cause.UPSTREAM_GONE,
                error.strerror or str(error),
            )
        self._finish(*self._end)

    def _begin_end(self, cause: Cause, detail: str) -> None:
        """The association is over but for the closing of connections, which may not take for ever."""
        if self._end is None and not self._finished:
            self._end = cause, detail
            self._timer.cancel()
            self._timer = self._loop.call_later(PARTING, self._check_idle)

    def _check_idle(self) -> None:
        if self._end is not None and self._end[0] is Cause.RELEASED:
            self._finish(*self._end)  # what came since then, an A-ABORT byte by byte, gave it no more time
            return
        timeout = self._idle_timeout if self._end is None else PARTING
        since, why = self._active, "nothing was sent"
        for direction in self.directions:
            # A peer that sends and does not read is no better than one that does neither.
            if direction.waiting is not None and direction.waiting < since:
                since, why = direction.waiting, "what was sent was not taken"
        quiet = self._loop.time() - since
        if quiet < timeout:
            self._timer = self._loop.call_later(timeout - quiet, self._check_idle)
        elif self._end is None:
            self.abort(Cause.IDLE, f"{why} for {timeout:g} s")
        else:
            self._finish(*self._end)

    def _finish(self, cause: Cause, detail: str, abort: bytes | None = None) -> None:
        if self._finished:
            return
        self._finished = True
        self._timer.cancel()
        for direction in self.directions:
            if abort is not None:
                _tell(direction.sink, abort, direction.flow.between_pdus)
        self._ended(*(self._end or (cause, detail)), *self.directions)
        for direction in self.directions:
            # After a release neither side has anything more to say: no close can overtake it.
            direction.sink.part(self._view, PARTING, self._gone, at_once=cause is Cause.RELEASED)


def _tell(leg: Connection, abort: bytes, between_pdus: bool) -> None:
    """An A-ABORT where it would be read as one; in the middle of a PDU only a broken connection says as much."""
    if leg.closed:
        return
    if not between_pdus:
        leg.reset()
        return
    try:
        leg.send(abort)
    except OSError:
        leg.close()
