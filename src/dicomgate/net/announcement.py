"""The PROXY header with which a load balancer hands a connection on: only then it is known whose it is.

Rule: the configuration says who must send a header; that is not guessed from the first bytes. Another client's bytes
      are taken for DICOM or TLS.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from functools import partial

from ..association.established import LINGER
from ..contract import Peer
from ..events.events import Cause, ReasonClass, Refused
from ..wire.proxy import LONGEST, Announced, ProxyError, read_header
from .arrival import Begin, arrive, arrived, reached
from .connection import Connection
from .lifetime import Lifetime
from .lingering import linger_close
from .server_state import ListenerSnapshot, ServerState

_WITHIN = 3.0
"""Seconds for the whole header, which a load balancer sends at once."""


def receive(
    server: ServerState,
    listener: ListenerSnapshot,
    raw: socket.socket,
    address: tuple[str, int],
    bound: tuple[str, int],
    begin: Begin,
) -> None:
    """Take a connection that was just accepted, as `arrive`; close it unanswered if there is no slot for it."""
    balancers = listener.balancers
    awaited = balancers is not None and address[0] in balancers
    acquire = server.capacity.acquire_unannounced if awaited else server.capacity.acquire
    slot = acquire(address[0])
    if slot is None:
        raw.close()
    elif balancers is None or not (awaited or balancers.alone):
        arrive(server, listener, raw, address, bound, slot, begin)
    else:
        lifetime = Lifetime(server, listener, slot, address)
        stage = _Announcing(lifetime, raw, address, reached(raw, bound), begin)
        if awaited:
            lifetime.guard(stage.watch)
        else:
            lifetime.guard(stage.refuse, "this listener is for load balancers alone")


class _Announcing:
    """The stage of a connection until its PROXY header is there."""

    __slots__ = ("_begin", "_connection", "_lifetime", "_local_address", "_raw", "_read", "_sender", "_timer")
    traffic = None

    def __init__(
        self,
        lifetime: Lifetime,
        raw: socket.socket,
        sender: tuple[str, int],
        local_address: tuple[str, int],
        begin: Begin,
    ) -> None:
        self._lifetime = lifetime
        self._raw = raw
        self._sender = sender
        self._local_address = local_address
        self._begin = begin
        self._read = b""
        # Without turns: reading a header costs little, and those who wait for their turn would fill the places here.
        self._connection = Connection(lifetime.server.loop, raw)
        self._timer = lifetime.server.deadlines.after(_WITHIN, self._too_late)
        lifetime.stage = self
        lifetime.opened()

    def watch(self) -> None:
        """Read the header."""
        self._connection.read_with(partial(self._lifetime.guard, self._look))

    def refuse(self, reason: str) -> None:
        """Close it, and say why in the records."""
        lifetime = self._lifetime
        lifetime.tell(Refused(lifetime.facts, datetime.now(UTC), "", reason, ReasonClass.PROXY_HEADER))
        self.abort(Cause.REFUSED, reason)

    def abort(self, cause: Cause, detail: str) -> None:
        self._timer.cancel()
        self._lifetime.abort(cause, detail)
        linger_close(self._connection, self._lifetime.server.view, LINGER, self._lifetime.closed)

    def _look(self) -> None:
        try:
            # What follows the header is left where it is, for TLS or DICOM.
            read = self._read + self._raw.recv(LONGEST, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            read = self._read
        if len(read) == len(self._read):
            self._connection.peer_ended = True
            if read:
                self.refuse("the connection ended within its PROXY header")
            else:
                self.abort(Cause.NOTHING_SENT, "")
            return
        try:
            length, announced = read_header(read)
        except ProxyError as error:
            self.refuse(str(error))
            return
        self._raw.recv(length - len(self._read))
        self._read = read[:length]
        if announced is not None:
            self._timer.cancel()
            self._hand_over(announced)

    def _hand_over(self, announced: Announced) -> None:
        lifetime, local_address = self._lifetime, self._local_address
        if announced.ends is None:
            peer = Peer(*self._sender)
        else:
            (address, port), local_address = announced.ends
            believed = lifetime.listener.balancers is not None and lifetime.listener.balancers.believed
            of_tls = (announced.tls, announced.common_name) if believed else (False, "")
            peer = Peer(address, port, None, self._sender[0], announced.unique_id, *of_tls)
        slot = lifetime.server.capacity.acquire(peer.address)
        if slot is None:
            self._connection.close()
            lifetime.turned_away()
            return
        lifetime.announced(peer, slot)
        self._connection.turns = lifetime.server.turns
        arrived(lifetime, self._raw, self._connection, peer, local_address, self._begin)

    def _too_late(self) -> None:
        self.refuse(f"no whole PROXY header within {_WITHIN:g} s")
