"""From the accept to a client whose address and certificate are known: TLS, where the listener has it.

Every step is a callback of the event loop: a client that stalls holds up no other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeAlias

from ..association.established import LINGER
from ..contract import Peer
from ..events.events import Cause, ReasonClass, Refused
from ..wire.foreign import FIRST_BYTES, TLS_HANDSHAKE, foreign_protocol
from .capacity import Slot
from .connection import Connection
from .deadlines import Deadline
from .lifetime import Lifetime
from .lingering import linger_close
from .server_state import ListenerSnapshot, ServerState
from .tls import TlsContext, TlsError
from .tls_handshake import TlsHandshake
from .tls_stream import TlsStream


class Arrived(NamedTuple):
    """A client that is ready for its A-ASSOCIATE-RQ. `local_address` is the address and port that it connected to.

    `artim` has begun. Its call is for whoever has the client: for the one that this is given to, from now on.
    """

    connection: Connection
    peer: Peer
    local_address: tuple[str, int]
    artim: Deadline


Begin: TypeAlias = Callable[[Lifetime, Arrived], object]


def arrive(
    server: ServerState,
    listener: ListenerSnapshot,
    raw: socket.socket,
    address: tuple[str, int],
    bound: tuple[str, int],
    slot: Slot,
    begin: Begin,
) -> None:
    """Take a connection that was just accepted, and call `begin` once its client has arrived.

    `address` is the client's, `bound` that of the listening socket.

    A client whose TLS handshake fails, or is not complete when ARTIM expires, is closed; the audit has the reason.
    """
    lifetime = Lifetime(server, listener, slot, address)
    lifetime.guard(_start, lifetime, raw, address, bound, begin)


def _start(
    lifetime: Lifetime, raw: socket.socket, address: tuple[str, int], bound: tuple[str, int], begin: Begin
) -> None:
    connection = Connection(lifetime.server.loop, raw, lifetime.server.turns)
    lifetime.opened()
    arrived(lifetime, raw, connection, Peer(*address), reached(raw, bound), begin)


def reached(raw: socket.socket, bound: tuple[str, int]) -> tuple[str, int]:
    """The address and port that the other end has connected to."""
    every_address = bound[0] in ("0.0.0.0", "::")
    return raw.getsockname()[:2] if every_address else bound


def arrived(
    lifetime: Lifetime,
    raw: socket.socket,
    connection: Connection,
    peer: Peer,
    local_address: tuple[str, int],
    begin: Begin,
) -> None:
    """Go on with a connection whose client is known, as far as its address goes."""
    # PS3.8 9.1.4: ARTIM starts with the transport connection, whatever its client does then. TLS has no other.
    artim = lifetime.server.deadlines.after(lifetime.listener.policy.artim, partial(lifetime.end, Cause.TIMEOUT, ""))
    client, tls = Arrived(connection, peer, local_address, artim), lifetime.listener.tls
    if tls is None:
        begin(lifetime, client)
    else:
        _Securing(lifetime, tls, raw, client, begin)


class _Securing:
    """A client in its TLS handshake, which begins once its first byte is there, and is one of TLS."""

    __slots__ = ("_arrived", "_begin", "_handshake", "_lifetime", "_raw", "_tls")
    traffic = None

    def __init__(self, lifetime: Lifetime, tls: TlsContext, raw: socket.socket, arrived: Arrived, begin: Begin) -> None:
        self._lifetime = lifetime
        self._tls = tls
        self._raw = raw
        self._arrived = arrived
        self._begin = begin
        self._handshake: TlsHandshake | None = None
        arrived.artim.call = self._too_late
        lifetime.stage = self
        arrived.connection.read_with(partial(lifetime.guard, self._look))

    def abort(self, cause: Cause, detail: str) -> None:
        self._arrived.artim.cancel()
        if self._handshake is not None:
            self._handshake.cancel()
        self._lifetime.abort(cause, detail)
        linger_close(self._arrived.connection, self._lifetime.server.view, LINGER, self._lifetime.closed)

    def _look(self) -> None:
        """What does the client speak? OpenSSL would not say, nor tell a health check from a broken handshake."""
        try:
            start = self._raw.recv(FIRST_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            start = b""
        self._arrived.connection.pause_reading()
        if not start:
            self.abort(Cause.NOTHING_SENT, "")
            return
        self._lifetime.heard()
        if not start.startswith(TLS_HANDSHAKE):
            spoken = foreign_protocol(start) or "something else"
            self._refuse(f"the client does not begin TLS, which this listener requires: it speaks {spoken}")
        else:
            self._shake_hands()

    def _shake_hands(self) -> None:
        loop, turns = self._lifetime.server.loop, self._lifetime.server.turns
        try:
            stream = TlsStream(self._tls, self._raw)
        except (OSError, ValueError) as error:
            self._refuse(f"TLS: {error}")
            return
        # The one so far is let go: it refers to this, and each would keep the other for the garbage collector.
        self._arrived = self._arrived._replace(connection=Connection(loop, stream, turns))
        self._handshake = TlsHandshake(loop, stream, partial(self._secured, stream), self._failed, turns)
        self._handshake.step()

    def _secured(self, stream: TlsStream) -> None:
        self._lifetime.guard(self._hand_over, stream)

    def _hand_over(self, stream: TlsStream) -> None:
        peer, balancers = self._arrived.peer, self._lifetime.listener.balancers
        # A load balancer that is believed may end its clients' TLS: then the certificate here is its own, also for one
        # that came to it without TLS.
        if balancers is None or not balancers.believed or (peer.via or peer.address) not in balancers:
            peer = replace(peer, certificate=stream.peer_certificate())
        self._begin(self._lifetime, self._arrived._replace(peer=peer))

    def _failed(self, error: TlsError) -> None:
        self._refuse(f"TLS: {error}")

    def _refuse(self, reason: str) -> None:
        lifetime = self._lifetime
        lifetime.tell(Refused(lifetime.facts, datetime.now(UTC), "", reason, ReasonClass.TLS))
        self.abort(Cause.REFUSED, reason)

    def _too_late(self) -> None:
        self.abort(Cause.TIMEOUT, f"no TLS handshake within {self._lifetime.listener.policy.artim:g} s")
