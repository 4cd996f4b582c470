"""From the accept to a client whose address and certificate are known: TLS, where the listener has it.

Every step is a callback of the event loop: a client that stalls holds up no other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from ..association.established import LINGER
from ..contract import Peer
from ..events.events import Cause, Refused
from .capacity import Slot
from .connection import Connection
from .lifetime import Lifetime
from .lingering import linger_close
from .server_state import ListenerSnapshot, ServerState
from .tls import TlsError
from .tls_handshake import TlsHandshake
from .tls_stream import TlsStream


class Arrived(NamedTuple):
    """A client that is ready for its A-ASSOCIATE-RQ. `local_address` is the gateway's own address and port."""

    connection: Connection
    peer: Peer
    local_address: tuple[str, int]


Begin: TypeAlias = Callable[[Lifetime, Arrived], object]


def arrive(
    server: ServerState,
    listener: ListenerSnapshot,
    raw: socket.socket,
    address: tuple[str, int],
    slot: Slot,
    begin: Begin,
) -> None:
    """Take a connection that was just accepted, and call `begin` once its client has arrived.

    A client whose TLS handshake fails, or is not complete when ARTIM expires, is closed; the audit has the reason.
    """
    lifetime = Lifetime(server, listener, slot, address)
    lifetime.guard(_start, lifetime, raw, address, begin)


def _start(lifetime: Lifetime, raw: socket.socket, address: tuple[str, int], begin: Begin) -> None:
    local_address: tuple[str, int] = raw.getsockname()[:2]
    tls, loop, turns = lifetime.listener.tls, lifetime.server.loop, lifetime.server.turns
    if tls is None:
        lifetime.opened()
        begin(lifetime, Arrived(Connection(loop, raw, turns), Peer(*address), local_address))
        return
    try:
        stream = TlsStream(tls, raw)
    except (OSError, ValueError) as error:
        raw.close()
        _refuse(lifetime, lifetime, error)
        return
    lifetime.opened()
    _Securing(lifetime, stream, Arrived(Connection(loop, stream, turns), Peer(*address), local_address), begin)


class _Securing:
    """A client in its TLS handshake."""

    __slots__ = ("_arrived", "_begin", "_handshake", "_lifetime", "_stream", "_timer")

    def __init__(self, lifetime: Lifetime, stream: TlsStream, arrived: Arrived, begin: Begin) -> None:
        loop = lifetime.server.loop
        self._lifetime = lifetime
        self._stream = stream
        self._arrived = arrived
        self._begin = begin
        # TLS gets no time of its own: the same ARTIM covers it and the A-ASSOCIATE-RQ (PS3.8 9.1.4).
        self._timer = loop.call_at(lifetime.began + lifetime.listener.policy.artim, self._too_late)
        self._handshake = TlsHandshake(loop, stream, self._secured, self._failed, lifetime.server.turns)
        lifetime.stage = self
        self._handshake.step()

    def abort(self, cause: Cause, detail: str) -> None:
        self._timer.cancel()
        self._handshake.cancel()
        self._lifetime.abort(cause, detail)
        linger_close(self._arrived.connection, self._lifetime.server.view, LINGER, self._lifetime.closed)

    def _secured(self) -> None:
        self._timer.cancel()
        self._lifetime.guard(self._hand_over)

    def _hand_over(self) -> None:
        connection, peer, local_address = self._arrived
        peer = Peer(peer.address, peer.port, self._stream.peer_certificate())
        self._begin(self._lifetime, Arrived(connection, peer, local_address))

    def _failed(self, error: TlsError) -> None:
        _refuse(self._lifetime, self, error)

    def _too_late(self) -> None:
        self.abort(Cause.TIMEOUT, f"no TLS handshake within {self._lifetime.listener.policy.artim:g} s")


def _refuse(lifetime: Lifetime, stage: Lifetime | _Securing, error: Exception) -> None:
    reason = f"TLS: {error}"
    lifetime.server.tell(Refused(lifetime.id, datetime.now(UTC), "", reason))
    stage.abort(Cause.REFUSED, reason)
