"""One established association on its sockets: carries out the effects of an `Association`.

Law: nothing is decided here. What one side does not take stops the reading of the other. One Closed record ends it.

Both directions of all associations read into one buffer, which is emptied before any other callback runs: an idle
association costs its sockets and a few small objects. What there was no time for (`PdvStream.more`) is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..association import effects as do
from ..association.effects import Side
from ..association.established import LINGER, Association
from ..association.pdv_stream import PdvStream
from ..association.waiting import awaits_answer, may_go_on
from ..events.events import Cause
from ..sessions.register import Traffic
from .connection import SMALL, Connection
from .deadlines import Deadline, Deadlines
from .direction import FEW, Direction
from .keepalive import keep_alive
from .lingering import linger_close

_LOOKS = 4  # in the idle time: whether the peers' systems have acknowledged something
_log = logging.getLogger("dicomgate.gateway")


class Ended(Protocol):
    """What the relay calls once, when the association is over."""

    def __call__(self, cause: Cause, detail: str, from_client: Direction, from_upstream: Direction, /) -> None:
        """Record the cause and what was relayed."""


class Relay:
    """Takes over both connections. `ended` is called once with the cause, `gone` for each connection that is closed."""

    __slots__ = ("_active", "_association", "_buffer", "_deadlines", "_ended", "_gone", "_keepalive", "_loop", "_quiet",
                 "_timer", "_view", "directions")  # fmt: skip

    def __init__(
        self,
        deadlines: Deadlines,
        buffer: bytearray,
        client: Connection,
        upstream: Connection,
        streams: tuple[PdvStream, PdvStream],
        idle_timeout: float,
        keepalive: float,
        ended: Ended,
        gone: Callable[[], None],
    ) -> None:
        self._deadlines = deadlines
        self._loop = deadlines.loop
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._ended = ended
        self._gone = gone
        self._association = Association(*streams)
        self.directions = (
            Direction(Side.CLIENT, client, upstream, streams[0], streams[1]),
            Direction(Side.UPSTREAM, upstream, client, streams[1], streams[0]),
        )
        self._active, self._quiet, self._keepalive = self._loop.time(), idle_timeout, keepalive
        look = min(idle_timeout / _LOOKS, keepalive or idle_timeout)
        self._timer: Deadline | asyncio.TimerHandle = deadlines.after(look, self._check_silence)
        for one in (client, upstream):
            one.on_drained = one.on_broken = one.turns = None

    def start(self, early: bytes) -> None:
        """Begin; `early` is what the upstream sent right after its A-ASSOCIATE-AC."""
        for direction in self.directions:
            if direction.sink.unsent:
                self._await_drain(direction)
            else:
                self._resume(direction)
        if early:
            self._buffer[: len(early)] = early
            self._forward(self.directions[1], len(early))

    @property
    def traffic(self) -> Traffic:
        """What was relayed so far."""
        one, other = self.directions
        return Traffic(one.bytes, other.bytes, one.pdvs.pdus, other.pdvs.pdus, self._loop.time() - self._active)

    def abort(self, cause: Cause, detail: str = "") -> None:
        """End the association from here: an A-ABORT to each side that can read one."""
        self._carry_out(self._association.stopped(cause, detail))

    def _resume(self, direction: Direction) -> None:
        direction.waiting = None
        if (asking := self._from(direction.side.other)).held_back:
            self._hold_back(asking)
        if not direction.ended and not direction.sink.unsent and not direction.held_back:
            direction.source.read_with(partial(Relay._readable, self, direction))
            if direction.pdvs.more:
                direction.source.read_again()

    def _hold_back(self, asking: Direction) -> None:
        """Read a side only as long as what the gateway answers it gets away."""
        if asking.source.unsent or asking.opposite.full:
            asking.held_back = True
            asking.source.pause_reading()
        elif asking.held_back:
            asking.held_back = False
            self._resume(asking)

    def _readable(self, direction: Direction) -> None:
        try:
            self._read(direction)
        except Exception:  # noqa: BLE001
            # A defect ends this association and no other. Unhandled, it would come again at once and for ever.
            _log.exception("a defect of the gateway")
            self.abort(Cause.DEFECT, "see the log")

    def _read(self, direction: Direction) -> None:
        held, pdvs = len(direction.held), direction.pdvs
        self._buffer[:held] = direction.held
        if pdvs.more:
            self._forward(direction, held)
            direction.source.read_pending()
            return
        try:
            count = direction.source.receive(self._view[held : held + direction.most])
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(direction, error)
            return
        if not count:
            direction.ended = True
            direction.source.pause_reading()
            self._carry_out(self._association.ended(direction.side))
            return
        end = held + count
        self._forward(direction, end)
        if direction.held or (may_go_on(pdvs) if count >= SMALL else not awaits_answer(pdvs, self._buffer, end)):
            direction.source.acknowledge()

    def _forward(self, direction: Direction, end: int) -> None:
        """Pass on what may pass of the first `end` bytes of the buffer; the association says what else follows."""
        self._active = self._loop.time()
        pdvs = direction.pdvs
        passed = pdvs.walk(self._buffer, end, direction.opposite)
        if passed and not self._pass(direction, 0, passed):
            return
        direction.held = bytes(self._view[passed:end]) if passed < end and pdvs.found is None else b""
        if pdvs.found is not None:
            self._carry_out(self._association.found(direction.side, self._buffer, passed, end))
            if direction.opposite.full:
                self._hold_back(direction)
        if pdvs.more:
            direction.most = max(direction.most // 2, FEW)
            direction.source.read_again()
        elif direction.most < end * 2:
            direction.most = end * 4

    def _pass(self, direction: Direction, start: int, end: int) -> bool:
        """Send this part of the buffer; False if the connection that takes it is broken."""
        direction.bytes += end - start
        return self._send(direction, self._view[start:end])

    def _send(self, direction: Direction, data: bytes | memoryview) -> bool:
        try:
            if not direction.sink.send(data):
                self._await_drain(direction)
        except OSError as error:
            self._lost(self._from(direction.side.other), error)
            return False
        return True

    def _await_drain(self, direction: Direction) -> None:
        direction.source.pause_reading()
        if direction.waiting is None:
            direction.waiting = self._loop.time()
        direction.sink.on_drained = partial(self._resume, direction)
        direction.sink.on_broken = partial(self._lost, self._from(direction.side.other))

    def _lost(self, direction: Direction, error: OSError) -> None:
        """The connection that is the source of this direction is broken."""
        direction.source.close()
        self._carry_out(self._association.lost(direction.side, error.strerror or str(error)))

    def _from(self, side: Side) -> Direction:
        return self.directions[0] if side is Side.CLIENT else self.directions[1]

    def _carry_out(self, effects: do.EstablishedEffects) -> None:
        for effect in effects:
            match effect:
                case do.Forward(sender, start, end):
                    if not self._from(sender).sink.closed:
                        self._pass(self._from(sender), start, end)
                case do.Keep(sender, start, end):
                    self._from(sender).held = bytes(self._view[start:end])
                case do.Reply(to, pdu):
                    if not self._from(to).source.closed:
                        self._send(self._from(to.other), pdu)
                        self._hold_back(self._from(to))
                case do.Abort(to, pdu):
                    _abort(self._from(to).source, pdu)
                case do.Reset(to):
                    self._from(to).source.reset()
                case do.HalfClose(to):
                    self._from(to).source.end()
                case do.Timer(seconds):
                    self._timer.cancel()
                    self._timer = self._deadlines.after(seconds, lambda: self._carry_out(self._association.deadline()))
                case do.Close(cause, detail, at_once):
                    self._close(cause, detail, at_once)

    def _check_silence(self) -> None:
        if self._keepalive:
            # Four system calls, which most associations are too short for; the client's connection has it anyway.
            keep_alive(self.directions[1].source.stream, self._keepalive)
            self._keepalive = 0
        for direction in self.directions:
            direction.sink.look_for_progress()
        since, why = max(self._active, *(direction.sink.moved for direction in self.directions)), "nothing was sent"
        for direction in self.directions:
            # A peer that sends and does not read is no better than one that does neither.
            if direction.waiting is not None:
                why = f"what was sent was not taken by the {direction.side.other.value}"
                since = min(since, max(direction.waiting, direction.sink.moved))
        quiet = self._loop.time() - since
        if quiet < self._quiet:
            self._timer = self._loop.call_later(min(self._quiet - quiet, self._quiet / _LOOKS), self._check_silence)
        else:
            self._carry_out(self._association.silent(f"{why} for {self._quiet:g} s"))

    def _close(self, cause: Cause, detail: str, at_once: bool) -> None:
        self._timer.cancel()
        self._ended(cause, detail, *self.directions)
        for direction in self.directions:
            linger_close(direction.sink, self._view, LINGER, self._gone, at_once=at_once)


def _abort(connection: Connection, pdu: bytes) -> None:
    if not connection.closed:
        try:
            connection.send(pdu)
        except OSError:
            connection.close()
