"""An established association from its hand-over to its end: inputs in, effects out, no sockets.

Rule 1: what breaks the protocol is not forwarded. It is answered by an A-ABORT to both sides; a side that is in the
middle of a PDU has its connection broken instead.
Rule 2: the first cause of the end is the one that is recorded, and `Close` comes once. A release that was asked for is
a release, whichever side closes first.

Nearly all that passes is P-DATA in order, and the machine is not asked about it. The caller has the direction's
`PdvStream.walk` look at what was read, forwards what may pass, and calls `found` only if something was found there.
With two `MessageStream`s whole messages can be dropped and answered; then the effects of `found` forward the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..events.events import Cause
from ..wire.pdu import PduType
from ..wire.reject_abort import NOT_SPECIFIED, PduError, Refusal, known
from . import effects as do
from .effects import Side
from .message_stream import MessageStream
from .pdv_stream import Found, Mark, PdvStream
from .transitions import ESTABLISHED, EstablishedInput, EstablishedState, input_of

LINGER = 5.0
"""Seconds that the peers have for closing their connections once the association is over."""


class _Causes(NamedTuple):
    gone: Cause
    aborted: Cause
    violation: Cause


_CAUSES: Mapping[Side, _Causes] = {
    Side.CLIENT: _Causes(Cause.CLIENT_GONE, Cause.ABORTED_BY_CLIENT, Cause.CLIENT_VIOLATION),
    Side.UPSTREAM: _Causes(Cause.UPSTREAM_GONE, Cause.ABORTED_BY_UPSTREAM, Cause.UPSTREAM_VIOLATION),
}
_GIVEN_UP = NOT_SPECIFIED.encode()
_input = input_of(ESTABLISHED, EstablishedInput)


class Association:
    """One established association. `from_client` and `from_upstream` are its two directions, named by the sender."""

    __slots__ = ("_end", "_from_client", "_from_upstream", "state")

    def __init__(self, from_client: PdvStream, from_upstream: PdvStream) -> None:
        self.state = EstablishedState.OPEN
        self._from_client = from_client
        self._from_upstream = from_upstream
        self._end: tuple[Cause, str] | None = None  # why it ends, if that is known before it has ended

    def _from(self, side: Side) -> PdvStream:
        return self._from_client if side is Side.CLIENT else self._from_upstream

    @_input
    def found(self, side: Side, buffer: bytearray | bytes, start: int, end: int) -> do.EstablishedEffects:
        """`walk` found something in `buffer[:end]`, read from `side`; `buffer[:start]` has been forwarded."""
        stream, other = self._from(side), self._from(side.other)
        effects: do.EstablishedEffects = []
        settled = start
        while (found := stream.found) is not None:
            stream.found = None
            settled += stream.skipped
            if isinstance(found, PduError):
                return [*effects, *self._violated(side, found)]
            if stream.aborted is not None:
                return [*effects, *self._aborted(side, stream.aborted)]
            if found is Mark.END:
                effects += self._answers(side)
            else:
                effects += self._take(side, found)
            if settled < end:
                passed = stream.walk(buffer, end, other, settled)
                if passed > settled:
                    effects.append(do.Forward(side, settled, passed))
                settled = passed
        if settled < end:
            effects.append(do.Keep(side, settled, end))
        return effects

    @_input
    def ended(self, side: Side) -> do.EstablishedEffects:
        """A side ended its stream: the other hears of it, and may still finish."""
        if self._end is not None:
            return self._finish(*self._end)
        if self.state is EstablishedState.RELEASING:
            asked = self._from(side).release_requested
            what = "without waiting for the A-RELEASE-RP" if asked else "instead of sending an A-RELEASE-RP"
            self._end = Cause.RELEASED, f"the {side.value} closed {what}"
        else:
            self._end = _CAUSES[side].gone, "without a release"
        self.state = EstablishedState.HALF_OPEN
        return [do.HalfClose(side.other)]

    @_input
    def lost(self, side: Side, detail: str) -> do.EstablishedEffects:
        """The connection of a side broke, and is closed."""
        if self._end is not None:
            return self._finish(*self._end)
        if self._from(side).release_requested:
            return self._finish(Cause.RELEASED, f"the {side.value} closed without waiting for the A-RELEASE-RP")
        return [self._abort(side.other, _GIVEN_UP), *self._finish(_CAUSES[side].gone, detail)]

    @_input
    def silent(self, detail: str) -> do.EstablishedEffects:
        """Nothing has moved for the idle time."""
        return self._finish(*self._end) if self._end is not None else self._abort_both(Cause.IDLE, detail)

    @_input
    def deadline(self) -> do.EstablishedEffects:
        """The time of the last `Timer` is over: after a release the peers have had their time to close."""
        return self._finish(Cause.RELEASED, "")

    @_input
    def stopped(self, cause: Cause, detail: str = "") -> do.EstablishedEffects:
        """The gateway ends the association."""
        return self._abort_both(cause, detail)

    def _take(self, side: Side, found: Found) -> do.EstablishedEffects:
        """What follows from something that is found and does not end the association at once."""
        if found is PduType.RELEASE_RQ and self.state is EstablishedState.OPEN:
            self.state = EstablishedState.RELEASING
        elif found is PduType.RELEASE_RP and self.state is EstablishedState.RELEASING and self._answered:
            self.state = EstablishedState.RELEASED
            self._end = Cause.RELEASED, ""
            return [do.Timer(LINGER)]
        return []

    @property
    def _answered(self) -> bool:
        """True if each side that asked for the release has its answer; after a collision both have asked."""
        client, upstream = self._from_client, self._from_upstream
        return client.release_requested <= upstream.released and upstream.release_requested <= client.released

    def _answers(self, side: Side) -> do.EstablishedEffects:
        """A message of this side has ended: what of the gateway's own may be sent now, each way."""
        stream, other = self._from(side), self._from(side.other)
        if not isinstance(stream, MessageStream) or not isinstance(other, MessageStream):
            return []
        replies: do.EstablishedEffects = [do.Reply(side.other, pdu) for pdu in stream.insert()]
        return replies + [do.Reply(side, pdu) for pdu in other.insert(stream.answer())]

    def _aborted(self, side: Side, answer: Refusal) -> do.EstablishedEffects:
        # It does not pass as it came: its codes may be none that the standard knows.
        return [self._abort(side.other, known(answer).encode()), *self._finish(_CAUSES[side].aborted, str(answer))]

    def _violated(self, side: Side, error: PduError) -> do.EstablishedEffects:
        answer = error.answer.encode()
        to_receiver = do.Abort(side.other, answer) if self._from(side).boundary else do.Reset(side.other)
        return [to_receiver, self._abort(side, answer), *self._finish(_CAUSES[side].violation, str(error))]

    def _abort(self, to: Side, pdu: bytes) -> do.Abort | do.Reset:
        return do.Abort(to, pdu) if self._from(to.other).between_pdus else do.Reset(to)

    def _abort_both(self, cause: Cause, detail: str) -> do.EstablishedEffects:
        aborts = [self._abort(to, _GIVEN_UP) for to in (Side.UPSTREAM, Side.CLIENT)]
        return [*aborts, *self._finish(cause, detail)]

    def _finish(self, cause: Cause, detail: str) -> do.EstablishedEffects:
        at_once = self.state is EstablishedState.RELEASED and cause is Cause.RELEASED
        self.state = EstablishedState.CLOSED
        return [do.Close(*(self._end or (cause, detail)), at_once)]
