"""One connection from its accept to its hand-over: carries out the effects of a `Handshake`.

Everything happens in callbacks of the event loop: an association costs no task of its own.
"""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime

from ..association import effects as do
from ..association.handshake import Handshake
from ..auth.chain import Verdict
from ..contract import Peer
from ..events.events import Cause, Closed, Opened, Refused
from ..protection.guard import Asking
from .capacity import Slot
from .connection import Connection, Stream
from .dial import Connecting
from .relay import PARTING, Direction, Relay
from .server_state import ListenerSnapshot, ServerState
from .tls import TlsError, TlsStream
from .tls_handshake import TlsHandshake

_log = logging.getLogger("dicomgate.gateway")
_LOOK_AGAIN = 30.0
"""Seconds."""


class Session:
    """One association. It stays among the associations of `server` until both its connections are closed."""

    __slots__ = (
        "_arrived_at",
        "_began",
        "_client",
        "_closed",
        "_connecting",
        "_handshake",
        "_listener",
        "_loop",
        "_open",
        "_peer",
        "_question",
        "_relay",
        "_server",
        "_slot",
        "_timer",
        "_tls_handshake",
        "_upstream",
        "_view",
        "id",
    )  # fmt: skip

    def __init__(
        self,
        server: ServerState,
        listener: ListenerSnapshot,
        raw: socket.socket,
        address: tuple[str, int],
        slot: Slot,
    ) -> None:
        self.id = secrets.token_hex(6)
        self._server = server
        self._loop = server.loop
        self._listener = listener
        self._peer = Peer(*address)
        self._arrived_at: tuple[str, int] = raw.getsockname()[:2]
        self._slot = slot
        self._view = memoryview(server.buffer)
        self._began = self._loop.time()
        self._closed = False
        self._open = 0
        self._tls_handshake: TlsHandshake | None = None
        self._handshake: Handshake | None = None
        self._client: Connection | None = None
        self._upstream: Connection | None = None
        self._connecting: Connecting | None = None
        self._question: Asking | None = None
        self._relay: Relay | None = None
        server.associations.add(self)
        listener.entered()
        # PS3.8 9.1.4: ARTIM starts with the transport connection, and is absolute. TLS gets no time of its own.
        self._timer = self._loop.call_later(listener.policy.artim, self._deadline)
        server.tell(Opened(self.id, datetime.now(UTC), listener.policy.listener, *address))
        self._guard(lambda: self._start(raw))

    def stop(self) -> None:
        """End it now, properly: an A-ABORT to whom it concerns."""
        if self._relay is not None:
            self._relay.abort(Cause.DRAINED)
        elif self._handshake is not None:
            self._carry_out(self._handshake.stopped())
        else:
            self._close(Cause.DRAINED, "")

    def _guard(self, act: Callable[[], None]) -> None:
        """Run a callback; a defect of ours ends this association and no other."""
        try:
            act()
        except Exception:  # noqa: BLE001
            _log.exception("%s: a defect of the gateway", self.id)
            self._close(Cause.DEFECT, "see the log")

    # -- the client -----------------------------------------------------------------------------------------------

    def _start(self, raw: socket.socket) -> None:
        if self._listener.tls is None:
            self._take_client(raw)
            self._begin()
            return
        try:
            stream = TlsStream(self._listener.tls, raw)
        except (OSError, ValueError) as error:
            raw.close()
            self._not_greeted(TlsError(str(error)))
            return
        self._take_client(stream)
        self._tls_handshake = TlsHandshake(self._loop, stream, lambda: self._greeted(stream), self._not_greeted)
        self._tls_handshake.step()

    def _take_client(self, stream: Stream) -> None:
        self._client = Connection(self._loop, stream)
        self._open += 1

    def _greeted(self, stream: TlsStream) -> None:
        self._tls_handshake = None
        self._peer = Peer(self._peer.address, self._peer.port, stream.peer_certificate())
        self._guard(self._begin)

    def _not_greeted(self, error: TlsError) -> None:
        self._tls_handshake = None
        self._server.tell(Refused(self.id, datetime.now(UTC), "", f"TLS: {error}"))
        self._close(Cause.REFUSED, f"TLS: {error}")

    def _begin(self) -> None:
        self._handshake = Handshake(
            self.id, self._peer, self._listener.policy, full=self._slot.full, arrived_at=self._arrived_at
        )
        if self._client is not None:
            self._watch(self._client, self._handshake.client_data, self._handshake.client_gone)

    # -- both sides -----------------------------------------------------------------------------------------------

    def _watch(
        self, connection: Connection, arrived: Callable[[bytes], do.Effects], gone: Callable[[str], do.Effects]
    ) -> None:
        """Give what arrives on a connection, and its end, to the handshake."""

        def readable() -> None:
            try:
                count = connection.receive(self._view)
            except BlockingIOError:
                return
            except OSError as error:
                connection.pause_reading()
                self._carry_out(gone(error.strerror or str(error)))
                return
            if not count:
                connection.pause_reading()
            self._carry_out(arrived(bytes(self._view[:count])) if count else gone(""))
            if self._relay is None:
                connection.read_pending()

        def guarded() -> None:
            self._guard(readable)

        connection.on_broken = lambda error: self._guard(lambda: self._carry_out(gone(error.strerror or str(error))))
        connection.read_with(guarded)

    def _deadline(self) -> None:
        handshake = self._handshake
        if handshake is None:
            self._close(Cause.TIMEOUT, f"no TLS handshake within {self._listener.policy.artim:g} s")
        else:
            self._guard(lambda: self._carry_out(handshake.deadline()))

    # -- effects --------------------------------------------------------------------------------------------------

    def _carry_out(self, effects: do.Effects) -> None:
        for effect in effects:
            match effect:
                case do.ToClient(pdu):
                    _send(self._client, pdu)
                case do.ToUpstream(pdu):
                    _send(self._upstream, pdu)
                case do.Emit(event):
                    self._server.tell(event)
                case do.Timer(seconds):
                    self._timer.cancel()
                    self._timer = self._loop.call_later(seconds, self._deadline)
                case do.Decide(attempt):
                    self._question = self._server.guard.begin(self._listener.chain, attempt, self._decided)
                case do.Connect(name):
                    self._slot.admitted()
                    upstream = self._listener.upstreams[name]
                    self._connecting = upstream.connect(self._loop, self._upstream_opened, self._upstream_failed)
                    self._connecting.step()
                case do.CloseUpstream():
                    self._leave_upstream()
                case do.Relay():
                    self._hand_over(effect)
                case do.Close(cause, detail):
                    self._close(cause, detail)

    def _decided(self, verdict: Verdict) -> None:
        handshake = self._handshake
        if handshake is not None:
            self._guard(lambda: self._carry_out(handshake.decided(verdict)))

    def _upstream_opened(self, leg: Connection) -> None:
        self._connecting = None
        self._upstream = leg
        self._open += 1
        handshake = self._handshake
        if handshake is not None:
            self._watch(leg, handshake.upstream_data, handshake.upstream_gone)
            self._guard(lambda: self._carry_out(handshake.upstream_opened()))

    def _upstream_failed(self, reason: str) -> None:
        self._connecting = None
        handshake = self._handshake
        if handshake is not None:
            self._guard(lambda: self._carry_out(handshake.upstream_failed(reason)))

    def _leave_upstream(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        leg, self._upstream = self._upstream, None
        if leg is not None:
            leg.part(self._view, PARTING, self._one_gone)

    def _hand_over(self, effect: do.Relay) -> None:
        client, upstream = self._client, self._upstream
        if client is None or upstream is None:
            raise RuntimeError("handed over without both legs")
        self._timer.cancel()
        self._handshake = self._question = self._client = self._upstream = None
        self._listener.left()
        flows = effect.from_client, effect.from_upstream
        idle = self._listener.idle_timeout
        self._relay = Relay(
            self._loop, self._server.buffer, client, upstream, flows, idle, self._relayed, self._one_gone
        )
        self._relay.start(effect.early)
        if effect.ends is not None:
            self._end_at(effect.ends)

    def _end_at(self, ends: datetime) -> None:
        """End an established association with the credential that it was admitted for."""
        left = (ends - datetime.now(UTC)).total_seconds()
        if self._closed:
            return
        if left > 0:
            # Not all of it at once: it is the calendar's time that counts, and that may be set meanwhile.
            self._timer = self._loop.call_later(min(left, _LOOK_AGAIN), self._end_at, ends)
        elif self._relay is not None:
            self._relay.abort(Cause.EXPIRED, f"it ended at {ends.isoformat()}")

    # -- the end --------------------------------------------------------------------------------------------------

    def _relayed(self, cause: Cause, detail: str, from_client: Direction, from_upstream: Direction) -> None:
        self._closed = True
        self._timer.cancel()
        self._tell_closed(
            cause, detail, from_client.bytes, from_upstream.bytes, from_client.flow.pdus, from_upstream.flow.pdus
        )

    def _tell_closed(self, cause: Cause, detail: str, *relayed: int) -> None:
        seconds = self._loop.time() - self._began
        self._server.tell(Closed(self.id, datetime.now(UTC), cause, detail, seconds, *relayed))

    def _close(self, cause: Cause, detail: str) -> None:
        """End an association that was never handed over; or, by a defect, one that was."""
        if self._closed:
            return
        if self._relay is not None:
            self._relay.abort(cause, detail)
            return
        self._closed = True
        self._timer.cancel()
        self._handshake = None
        if self._question is not None:
            self._question.cancel()
        if self._tls_handshake is not None:
            self._tls_handshake.cancel()
        self._tell_closed(cause, detail)
        self._listener.left()
        self._leave_upstream()
        if self._client is not None:
            self._client.part(self._view, PARTING, self._one_gone)
        self._forget_if_gone()

    def _one_gone(self) -> None:
        self._open -= 1
        self._forget_if_gone()

    def _forget_if_gone(self) -> None:
        if not self._open and self._closed:
            # They hold us in turn: an association that is over needs no garbage collector.
            self._relay = self._question = self._tls_handshake = None
            self._server.associations.discard(self)
            self._slot.leave()


def _send(leg: Connection | None, pdu: bytes) -> None:
    """Send a PDU of the handshake. A broken connection shows when it is read."""
    if leg is not None and not leg.closed:
        try:
            leg.send(pdu)
        except OSError:
            _log.debug("a PDU could not be sent: the connection is broken")
