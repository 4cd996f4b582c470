"""How an association is brought to each stage of its life, and no further."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Self

from dicomgate.testing import raw
from dicomgate.testing.evidence import ALICE
from dicomgate.testing.peers.loopback import Address, wait_until
from dicomgate.testing.peers.spy import abort, reject
from dicomgate.testing.raw_client import REFUSED_IDENTITY
from tests.stamina.authenticators import KNOWN, PENDING, UNKNOWN, pending
from tests.stamina.endings import Action, Side, Stage
from tests.stamina.peer import PacsPort, Peer, greeting, kill_who_has

ACCEPTED = raw.ac()
DATA = raw.p_data(raw.pdv(1, b"0123456789"))
BODY = raw.p_data(raw.pdv(1, bytes(range(256)) * 4))
HALF = len(BODY) // 2
STORE = raw.p_data(raw.pdv(1, b"a C-STORE-RQ", 3)) + raw.p_data(raw.pdv(1, bytes(1000), 0))
POUR = raw.p_data(raw.pdv(1, bytes(16_000))) * 16
ABORT = abort(0, 0)
PERMANENT = reject(1, 1, 3)


@dataclass(frozen=True)
class Way:
    """The way of an association: the listener's address, and the PACS; in TLS or not."""

    address: Address
    pacs: PacsPort
    client_tls: ssl.SSLContext | None = None
    pacs_tls: ssl.SSLContext | None = None


class Association:
    """A context manager. `reach` brings it to a stage; the client comes from the address `source`."""

    def __init__(self, side: Side, way: Way, source: str, chance: random.Random) -> None:
        self.side = side
        self.client: Peer | None = None
        self.upstream: Peer | None = None
        self.listener: socket.socket | None = None
        self._way = way
        self._source = source
        self._chance = chance
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for peer in (self.client, self.upstream):
            if peer is not None:
                peer.socket.close()
        self._stack.close()

    @property
    def it(self) -> Peer:
        """The peer that will do something: the one on `side`."""
        return self._there(self.client if self.side is Side.CLIENT else self.upstream)

    @property
    def other(self) -> Peer:
        """The one that is to be told."""
        return self._there(self.upstream if self.side is Side.CLIENT else self.client)

    @staticmethod
    def _there(peer: Peer | None) -> Peer:
        assert peer is not None, "no such peer yet"
        return peer

    def reach(self, stage: Stage, *, reachable: bool = True) -> None:
        """Bring it to this stage. Where the PACS is not `reachable`, no socket listens on its port."""
        if reachable:
            port = self._way.pacs
            listening = port.full() if stage is Stage.CONNECTING else port.listening()
            self.listener = self._stack.enter_context(listening)
        _REACH[stage](self)

    def leave(self, action: Action) -> None:
        """The peer on `side` leaves; a PACS that has not got the connection yet has at most its listener."""
        if self.upstream is None and self.side is Side.UPSTREAM:
            if action is Action.KILLED:
                assert self.listener is not None
                kill_who_has(self.listener)
        else:
            {Action.KILLED: Peer.die, Action.FINISHED: Peer.close, Action.RESET: Peer.reset}[action](self.it)

    def none_came(self) -> bool:
        """True if no connection to the PACS waits to be accepted."""
        assert self.listener is not None
        self.listener.settimeout(0)
        with suppress(BlockingIOError):
            self.listener.accept()[0].close()
            return False
        return True

    # -- before the association ------------------------------------------------------------------------------------

    def _connected(self) -> None:
        self.client = Peer.connect(self._way.address, self._source)

    def _greeting(self) -> None:
        self._connected()
        assert self._way.client_tls is not None
        hello = greeting(self._way.client_tls)
        self.it.send(hello[: self._chance.choice((3, len(hello) // 2, len(hello)))])

    def _entered(self) -> None:
        self._connected()
        if self._way.client_tls is not None:
            self._there(self.client).secure(self._way.client_tls)

    def _request(self, whose: str) -> bytes:
        # A name of its own for each, so that nothing that is counted by name hinders the next one.
        username = (whose + self._source).encode()
        return raw.rq(raw.login(2, username, ALICE), called=self._way.pacs.called.encode())

    def _half_rq(self) -> None:
        self._entered()
        request = self._request(KNOWN)
        self.it.send(request[: self._chance.randrange(1, len(request))])

    def _requested(self, whose: str = KNOWN) -> Peer:
        self._entered()
        client = self._there(self.client)
        client.send(self._request(whose))
        return client

    def _deciding(self) -> None:
        self._requested(PENDING)
        wait_until(lambda: self._source in pending, "the authenticator being asked")

    def _connecting(self) -> None:
        self._requested()
        if self.listener is not None:
            wait_until(self._way.pacs.is_called, "the upstream being connected")

    def _called(self) -> Peer:
        self._requested()
        assert self.listener is not None
        self.upstream = Peer(self.listener.accept()[0])
        return self.upstream

    def _upstream_greeting(self) -> None:
        upstream = self._called()
        assert self._way.pacs_tls is not None
        answer = greeting(self._way.pacs_tls, upstream.socket.recv(65_536))
        upstream.send(answer[: self._chance.choice((0, 3, len(answer) // 2))])

    def _asked_unread(self) -> Peer:
        upstream = self._called()
        if self._way.pacs_tls is not None:
            upstream.secure(self._way.pacs_tls, server=True)
        assert socket.socket.recv(upstream.socket, 1, socket.MSG_PEEK)
        return upstream

    def _asked(self) -> Peer:
        upstream = self._asked_unread()
        assert upstream.pdu()[0] == 1
        return upstream

    def _half_ac(self) -> None:
        self._asked().send(ACCEPTED[: self._chance.randrange(1, len(ACCEPTED))])

    def _refused(self) -> None:
        if self.side is Side.CLIENT:
            assert self._requested(UNKNOWN).pdu() == REFUSED_IDENTITY
        else:
            self._asked().send(PERMANENT)
            assert self.other.pdu() == PERMANENT

    # -- the association -------------------------------------------------------------------------------------------

    def _established(self) -> None:
        self._asked().send(ACCEPTED)
        assert self._there(self.client).pdu()[0] == 2

    def _from_it(self, whole: bytes, part: bytes = b"", arrives: int = 0) -> None:
        self._established()
        _relay(self.it, self.other, whole, part, arrives)

    def _from_other(self, whole: bytes, part: bytes = b"", arrives: int = 0) -> None:
        self._established()
        _relay(self.other, self.it, whole, part, arrives)

    def _stalled(self) -> None:
        self._established()
        self.other.stuff(POUR)

    def _released(self) -> None:
        self._from_other(raw.RELEASE_RQ)
        _relay(self.it, self.other, raw.RELEASE_RP)

    def _other_released(self) -> None:
        self._from_it(raw.RELEASE_RQ)
        _relay(self.other, self.it, raw.RELEASE_RP)


def _relay(sender: Peer, receiver: Peer, whole: bytes, part: bytes = b"", arrives: int = 0) -> None:
    """Whole PDUs arrive, and of the part after them so many bytes."""
    sender.send(whole + part)
    assert receiver.receive(len(whole) + arrives) == whole + part[:arrives]


_REACH: dict[Stage, Callable[[Association], object]] = {
    Stage.CONNECTED: Association._connected,
    Stage.CONNECTED_TLS: Association._connected,
    Stage.GREETING: Association._greeting,
    Stage.HALF_RQ: Association._half_rq,
    Stage.DECIDING: Association._deciding,
    Stage.CONNECTING: Association._connecting,
    Stage.UPSTREAM_GREETING: Association._upstream_greeting,
    Stage.ASKED: Association._asked,
    Stage.ASKED_UNREAD: Association._asked_unread,
    Stage.HALF_AC: Association._half_ac,
    Stage.REFUSED: Association._refused,
    Stage.ESTABLISHED: Association._established,
    Stage.HEADER_SENT: lambda self: self._from_it(DATA, DATA[: self._chance.randrange(1, 12)]),
    Stage.BODY_SENT: lambda self: self._from_it(DATA, BODY[:HALF], HALF),
    Stage.HEADER_RECEIVED: lambda self: self._from_other(DATA, DATA[: self._chance.randrange(1, 12)]),
    Stage.BODY_RECEIVED: lambda self: self._from_other(DATA, BODY[:HALF], HALF),
    Stage.STORING: lambda self: self._from_it(STORE),
    Stage.STALLED: Association._stalled,
    Stage.RELEASE_ASKED: lambda self: self._from_it(raw.RELEASE_RQ),
    Stage.OTHER_ASKED: lambda self: self._from_other(raw.RELEASE_RQ),
    Stage.RELEASED: Association._released,
    Stage.OTHER_RELEASED: Association._other_released,
    Stage.ABORTED: lambda self: self._from_it(ABORT),
    Stage.OTHER_ABORTED: lambda self: self._from_other(ABORT),
}
