"""One association until it is established or refused: carries out the effects of its `Handshake`.

Everything happens in callbacks of the event loop: an association has no task of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import ParamSpec

from ..association import effects as do
from ..association.admission import Refuse, unrecorded
from ..association.established import LINGER
from ..association.handshake import Handshake
from ..association.transitions import HandshakeState
from ..auth.chain import Verdict
from ..auth.plugged import Pending
from ..contract import Accept, Admission, Attempt, Presented, Unavailable
from ..events.events import Cause
from ..kit.race import Race
from ..sessions.users import Place, Principal
from ..wire.proxy import Client
from .arrival import Arrived
from .connection import Connection
from .dial import TakeData, TakeEnd
from .lifetime import Lifetime
from .lingering import linger_close
from .pooled import Trip
from .relay import Relay

_AT_ONCE = 8_192  # bytes read in one turn: as the smallest PDUs, which a refused client may send, 1.5 ms of work
_log = logging.getLogger("dicomgate.gateway")
_P = ParamSpec("_P")


class Negotiation:
    """The stage of an association from the arrival of its client to its end, or to the relay."""

    __slots__ = ("_client", "_dialled", "_handshake", "_lifetime", "_origin", "_pending", "_timer", "_upstream")
    traffic = None

    def __init__(self, lifetime: Lifetime, arrived: Arrived) -> None:
        policy = lifetime.listener.policy
        self._lifetime = lifetime
        self._client = arrived.connection
        self._origin = Client((arrived.peer.address, arrived.peer.port), arrived.local_address, lifetime.id)
        self._upstream: Connection | None = None
        self._pending: Pending | None = None  # a question, or the connection to the upstream
        self._timer = arrived.artim
        self._timer.call = self._deadline
        lifetime.stage = self  # from here on it closes the client's connection, whatever fails
        self._handshake = Handshake(
            lifetime.id,
            arrived.peer,
            policy,
            over_limit=lifetime.over_limit,
            arrived_at=arrived.local_address,
            denied=lifetime.denied,
        )
        self._watch(self._client, self._handshake.client_data, self._handshake.client_gone)

    def abort(self, cause: Cause, detail: str) -> None:
        """End it. Its peers are told; but after a defect nothing is known of what they may be sent."""
        if cause is Cause.DRAINED:
            self._input(self._handshake.stopped)
        elif cause is Cause.DEFECT:
            self._close(cause, detail)
        else:
            self._input(self._handshake.kicked, cause, detail)

    # -- inputs ---------------------------------------------------------------------------------------------------

    def _input(self, take: Callable[_P, do.Effects], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Give the handshake an input, and carry out its effects."""
        try:
            self._carry_out(take(*args, **kwargs))
        except Exception:  # noqa: BLE001
            self._lifetime.defect()

    def _watch(self, connection: Connection, data: TakeData, end: TakeEnd) -> None:
        """Give the handshake what arrives on a connection, and its end."""
        connection.on_broken = partial(self._broken, end)
        connection.read_with(partial(self._lifetime.guard, self._read, connection, data, end))

    def _read(self, connection: Connection, data: TakeData, end: TakeEnd) -> None:
        view = self._lifetime.server.view[:_AT_ONCE]
        try:
            count = connection.receive(view)
        except BlockingIOError:
            return
        except OSError as error:
            connection.pause_reading()
            self._broken(end, error)
            return
        if count:
            self._lifetime.heard()
            effects = data(bytes(view[:count]))
            if not effects:  # the rest of a PDU is still to come
                connection.acknowledge()
            self._carry_out(effects)
        else:
            connection.pause_reading()
            self._carry_out(end(""))

    def _broken(self, end: TakeEnd, error: OSError) -> None:
        self._input(end, error.strerror or str(error))

    def _deadline(self) -> None:
        so_far = ""
        if isinstance(self._pending, Race | Trip):
            so_far = self._pending.so_far()
        elif self._upstream is not None:
            so_far = self._dialled.did_not_answer(self._upstream)
        self._input(self._handshake.deadline, so_far)

    def _decided(self, verdict: Verdict) -> None:
        self._pending = None
        no_place = None
        if isinstance(verdict.decision, Accept) and self._handshake.state is HandshakeState.DECISION:
            self._lifetime.handle = verdict.decision.handle
            place = self._place(verdict, verdict.decision)
            if isinstance(place, Refuse):
                no_place = place
            elif place.waiting:
                return
        self._input(self._handshake.decided, verdict, no_place)

    def _place(self, verdict: Verdict, accept: Accept) -> Place | Refuse:
        lifetime = self._lifetime
        principal = Principal(verdict.authenticator, accept.user)
        told = partial(self._input, self._handshake.decided, verdict)
        place = lifetime.server.users.enter(principal, accept.groups, lifetime.id, told)
        if isinstance(place, Place):
            lifetime.place = place
        return place

    def _presented(self, answer: Presented | Unavailable) -> None:
        self._pending = None
        self._input(self._handshake.presented, answer)

    def _upstream_opened(self, upstream: Connection) -> None:
        self._pending, self._upstream = None, upstream
        reached = self._lifetime.reached(self._dialled.address)
        self._watch(upstream, *self._dialled.watched(self._handshake.upstream_data, self._handshake.upstream_gone))
        self._input(self._handshake.upstream_opened, reached)

    def _upstream_failed(self, reason: str) -> None:
        self._pending = None
        self._input(self._handshake.upstream_failed, reason)

    # -- effects --------------------------------------------------------------------------------------------------

    def _carry_out(self, effects: do.Effects) -> None:
        lifetime = self._lifetime
        for effect in effects:
            match effect:
                case do.ToClient(pdu):
                    _send(self._client, pdu)
                case do.ToUpstream(pdu):
                    if self._upstream is not None:
                        _send(self._upstream, pdu)
                case do.Emit(event):
                    lifetime.tell(event)
                case do.Timer(seconds):
                    self._timer.cancel()
                    self._timer = lifetime.server.deadlines.after(seconds, self._deadline)
                case do.Record(event):
                    lifetime.server.keep(event, partial(self._input, self._handshake.recorded))
                case do.Decide(attempt):
                    self._decide(attempt)
                case do.Present(credential, admission):
                    self._present(credential, admission)
                case do.Connect(name):
                    self._connect(name)
                case do.ConnectAgain():
                    self._dial()
                case do.CloseUpstream():
                    self._leave_upstream()
                case do.Relay():
                    self._hand_over(effect)
                case do.Close(cause, detail):
                    self._close(cause, detail)

    def _decide(self, attempt: Attempt) -> None:
        server, listener = self._lifetime.server, self._lifetime.listener
        if listener.policy.audit_required and (trouble := server.trouble()):
            # Before anybody is asked: it would use up a credential that may be used once, and its client comes again.
            self._pending = server.loop.call_soon(self._decided, unrecorded(trouble))
        else:
            self._pending = server.guard.begin(listener.chain, attempt, self._decided)

    def _present(self, credential: str, admission: Admission) -> None:
        self._lifetime.admitted()
        self._pending = self._lifetime.listener.credentials[credential].begin(admission, self._presented)

    def _connect(self, name: str) -> None:
        lifetime = self._lifetime
        lifetime.admitted()
        self._dialled = lifetime.listener.upstreams[name].way(lifetime.facts)
        lifetime.leave = self._dialled.leave
        self._dial()

    def _dial(self) -> None:
        loop, told = self._lifetime.server.loop, (self._upstream_opened, self._upstream_failed)
        self._lifetime.dialled = loop.time()
        self._pending = connecting = self._dialled.connect(loop, *told, self._origin)
        connecting.begin()

    def _hand_over(self, effect: do.Relay) -> None:
        if self._upstream is None:
            raise RuntimeError("established without an upstream")
        self._timer.cancel()
        lifetime = self._lifetime
        server, listener = lifetime.server, lifetime.listener
        flows = effect.from_client, effect.from_upstream
        connections = self._client, self._upstream
        patience = listener.idle_timeout, listener.keepalive
        told = lifetime.relayed, lifetime.closed
        relay = Relay(server.deadlines, server.buffer, *connections, flows, *patience, *told)
        lifetime.established(relay, effect.operations)
        relay.start(effect.early)
        if effect.ends is not None:
            lifetime.expire_at(effect.ends)

    def _leave_upstream(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            linger_close(upstream, self._lifetime.server.view, LINGER, self._lifetime.closed)

    def _close(self, cause: Cause, detail: str) -> None:
        if self._lifetime.over:
            return
        self._timer.cancel()
        self._lifetime.abort(cause, detail)
        self._leave_upstream()
        linger_close(self._client, self._lifetime.server.view, LINGER, self._lifetime.closed)


def _send(connection: Connection, pdu: bytes) -> None:
    """Send a PDU of the handshake. A broken connection shows when it is read."""
    if not connection.closed:
        try:
            connection.send(pdu)
        except OSError:
            _log.debug("a PDU could not be sent: the connection is broken")
