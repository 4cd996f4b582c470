"""One association from its accept to the close of both connections: slot, records, expiry.

Rule: it has one Opened record, and one Closed record, which has the first cause that was named. Both are written only
once there is something to tell: a health check, which connects and closes, is counted.

Three stages take it over from each other: the TLS handshake (arrival), the DICOM handshake (negotiation), the relay.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ParamSpec, Protocol

from ..association.route import Reached
from ..contract import Peer
from ..events.events import Cause, Closed, Decided, Denied, Event, Facts, Opened, Refused
from ..rights.operations import Denial, Operations
from ..sessions.register import Traffic
from ..sessions.users import Place
from .capacity import Slot
from .direction import Direction
from .server_state import ListenerSnapshot, ServerState

_log = logging.getLogger("dicomgate.gateway")
_connections = logging.getLogger("dicomgate.association")
_EXPIRY_CHECK = 30.0  # seconds
_P = ParamSpec("_P")


class Stage(Protocol):
    """The stage that an association is in."""

    @property
    def traffic(self) -> Traffic | None:
        """What it has relayed so far; None before it is established."""

    def abort(self, cause: Cause, detail: str) -> None:
        """End the association from outside: by an operator, at a shutdown, at its expiry, or because of a defect."""


class Lifetime:
    """One of the associations of `server`, until its last connection is closed. `stage` is set by each stage in turn.

    `began` is when it was accepted, `dialled` when its upstream was dialled last (seconds of the event loop's clock).
    `over` becomes true with the Closed record. `facts` are what is known of it, by the records that it has.
    `operations` judge and count its messages, if any do. `place` is that among the associations of its user, from
    Accept to its refusal or its end. `leave` says so to the upstream.
    """

    __slots__ = ("_expiry", "_heard", "_open", "_slot", "began", "dialled", "ends", "facts", "groups", "handle",
                 "id", "leave", "listener", "operations", "over", "place", "server", "since", "stage")  # fmt: skip

    def __init__(self, server: ServerState, listener: ListenerSnapshot, slot: Slot, address: tuple[str, int]) -> None:
        """`address` is the client's."""
        self.id = next(server.ids)
        self.server = server
        self.listener = listener
        self.began = self.dialled = server.loop.time()
        self.over = False
        self.operations: Operations | None = None
        self.place: Place | None = None
        self.leave: Callable[[], None] | None = None
        self.stage: Stage = self
        self._slot = slot
        self._open = 0
        self._expiry: asyncio.TimerHandle | None = None
        self.facts = Facts(self.id, listener.policy.listener, *address)
        self.groups: tuple[str, ...] = ()
        self.since = datetime.now(UTC)
        self.ends: datetime | None = None
        self.handle: object = None
        self._heard = False  # then Opened is told
        _connections.debug("%s: connected: %s port %d, listener %s", self.id, *address, listener.policy.listener)
        server.register.enter(self)
        listener.acquire()

    def announced(self, peer: Peer, slot: Slot) -> None:
        """A load balancer has said whose connection it is. From now on it counts for its client."""
        at = peer.address, peer.port
        self.facts = Facts(self.id, self.facts.listener, *at, via=peer.via, unique_id=peer.unique_id)
        self._slot.release()
        self._slot = slot

    def heard(self) -> None:
        """Its client has sent something: from now on it has records."""
        if not self._heard:
            self._heard = True
            self.server.tell(Opened(self.facts, self.since))

    def tell(self, event: Event) -> None:
        """Write a record, after the Opened record."""
        self.heard()
        self.facts = event.facts
        if isinstance(event, Decided):
            self.groups = event.groups
        elif isinstance(event, Refused):
            self._leave_place()
        self.server.tell(event)

    @property
    def over_limit(self) -> str:
        """The limit that this association is over: it is only answered. "" if it is within all limits."""
        return self._slot.over_limit

    def end(self, cause: Cause, detail: str) -> None:
        """End it now; a peer that speaks DICOM gets an A-ABORT."""
        self.stage.abort(cause, detail)

    @property
    def traffic(self) -> Traffic | None:
        """What it has relayed so far; None before it is established."""
        return self.stage.traffic

    def guard(self, act: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Run a callback of this association. A defect in it ends this association and no other."""
        try:
            act(*args, **kwargs)
        except Exception:  # noqa: BLE001
            self.defect()

    def defect(self) -> None:
        """Log the exception that is being handled, and end the association."""
        _log.exception("%s: a defect of the gateway", self.id)
        self.stage.abort(Cause.DEFECT, "see the log")

    def admitted(self) -> None:
        """The authenticators have accepted: it no longer counts as unauthenticated."""
        self._slot.admitted()

    def established(self, relay: Stage, operations: Operations | None) -> None:
        """The relay has taken it over: it no longer needs the chain and the upstreams."""
        self.stage, self.operations = relay, operations
        self.listener.release()

    def denied(self, denial: Denial) -> None:
        """Its client asked for something of a kind that its rights do not grant."""
        enforced = self.listener.policy.enforce_rights
        rules = () if self.operations is None else self.operations.rights.rules
        self.tell(Denied(self.facts, datetime.now(UTC), *denial, enforced, rules))

    def expire_at(self, ends: datetime) -> None:
        """End it with the credential that it was admitted for, at `ends` (aware)."""
        self.ends = ends
        left = (ends - datetime.now(UTC)).total_seconds()
        if self.over:
            return
        if left > 0:
            # Never in one wait: the calendar's time counts, and the clock may be set meanwhile.
            self._expiry = self.server.loop.call_later(min(left, _EXPIRY_CHECK), self.expire_at, ends)
        else:
            self.stage.abort(Cause.EXPIRED, f"it ended at {ends.isoformat()}")

    def opened(self) -> None:
        """It has one more open connection."""
        self._open += 1

    def reached(self, address: str) -> Reached:
        """Its upstream is connected, at this address."""
        self.opened()
        return Reached(address, self.server.loop.time() - self.dialled)

    def turned_away(self) -> None:
        """End it without any record: it is over a limit, and counted there. The caller has closed its connection."""
        self.over, self.stage, self._open = True, _OVER, 0
        self.listener.release()
        self._forget_if_gone()

    def closed(self) -> None:
        """One of its connections is closed."""
        self._open -= 1
        self._forget_if_gone()

    def relayed(self, cause: Cause, detail: str, from_client: Direction, from_upstream: Direction) -> None:
        """The relay has ended it."""
        pdus = from_client.pdvs.pdus, from_upstream.pdvs.pdus
        self._end(cause, detail, (from_client.bytes, from_upstream.bytes, *pdus))

    def abort(self, cause: Cause, detail: str) -> None:
        """End it before a relay took it over. The caller closes its connections."""
        self._end(cause, detail)
        self.listener.release()
        self._forget_if_gone()

    def _end(self, cause: Cause, detail: str, relayed: tuple[int, int, int, int] = (0, 0, 0, 0)) -> None:
        self.over = True
        self.stage = _OVER  # the stage refers to this: what is over needs no garbage collector
        self._leave_place()
        if self._expiry is not None:
            self._expiry.cancel()
        if cause is Cause.NOTHING_SENT and not self._heard:
            self.server.count_silent(self.facts.address)
            return
        seconds = self.server.loop.time() - self.began
        closed = Closed(self.facts, datetime.now(UTC), cause, detail, seconds, *relayed)
        if self.operations is not None:
            closed = closed._replace(used=self.operations.used, denied=self.operations.denied)
            self.operations = None  # it refers to this, too
        self.tell(closed)

    def _leave_place(self) -> None:
        if self.place is not None:
            self.place.leave()
            self.place = None
        if self.leave is not None:
            self.leave()
            self.leave = None

    def _forget_if_gone(self) -> None:
        if self.over and not self._open:
            self.server.register.leave(self)
            self._slot.release()


class _Over:
    """The stage of an association that has its Closed record."""

    traffic = None

    def abort(self, cause: Cause, detail: str) -> None:
        """Nothing is left to end."""


_OVER = _Over()
