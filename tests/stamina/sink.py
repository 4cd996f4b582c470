"""A PACS that takes whatever comes and keeps its hash: what arrived, to the last byte, and how it ended."""

import hashlib
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from struct import unpack_from
from typing import Any, Self

from bench.messages import PASSCODE
from dicomgate.testing.peers.loopback import HOST, Address, wait_until
from dicomgate.testing.peers.spy import accept_all
from dicomgate.testing.raw_client import RELEASE_RP, RELEASE_RQ, login, request

CALLED = "SINK"
RELEASED, ENDED, BROKEN = "released", "ended", "broken"


def request_by(calling: str) -> bytes:
    """Return an A-ASSOCIATE-RQ to CALLED, with a login, by this calling AE title."""
    asked = request(login("alice", PASSCODE), called=CALLED.encode())
    return asked[:26] + calling.encode().ljust(16) + asked[42:]  # PS3.8 table 9-11


@dataclass
class Taken:
    """What one association brought behind its A-ASSOCIATE-RQ; a release is not counted."""

    calling: str
    connection: socket.socket
    digest: Any = field(default_factory=hashlib.sha256)  # of all whole PDUs
    last: bytes = b""  # the last whole PDU
    rest: bytes = b""  # the beginning of one that did not arrive whole
    end: str = ""  # RELEASED, ENDED (the end of the stream), BROKEN (a RST), or "" as long as it lasts


class Sink:
    """A context manager: it listens from `with` on, and nothing of it is left afterwards."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self._listener = socket.create_server((HOST, 0), backlog=256)
        self.address: Address = self._listener.getsockname()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="sink")]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        self._threads[0].join()
        for connection in self._sockets:
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        self._listener.close()

    def of(self, calling: str) -> Taken:
        """Return what the one association of this calling AE title brought."""
        [taken] = [taken for taken in self.taken if taken.calling == calling]
        return taken

    def wait_for_ends(self) -> None:
        """Return once no association is under way."""
        wait_until(lambda: all(taken.end for taken in self.taken), "the associations of the sink ending")

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            self._threads.append(threading.Thread(target=self._converse, args=(connection,), name="sink"))
            self._threads[-1].start()

    def _converse(self, connection: socket.socket) -> None:
        with connection:
            request = _read(connection, bytearray())
            if not request:
                return
            taken = Taken(request[26:42].decode().strip(), connection)  # PS3.8 table 9-11
            self.taken.append(taken)
            connection.sendall(accept_all(request))
            taken.end = _take(connection, taken)


def _take(connection: socket.socket, taken: Taken) -> str:
    received = bytearray()
    while True:
        try:
            pdu = _read(connection, received)
        except OSError:
            taken.rest = bytes(received)
            return BROKEN
        if pdu == RELEASE_RQ:
            connection.sendall(RELEASE_RP)
            return RELEASED
        if not pdu:
            taken.rest = bytes(received)
            return ENDED
        taken.last = pdu
        taken.digest.update(pdu)


def _read(connection: socket.socket, received: bytearray) -> bytes:
    """Take one whole PDU from what was received, or what still comes; b"" at the end of the stream. Raises OSError."""
    while len(received) < 6 or len(received) < (length := 6 + unpack_from(">L", received, 2)[0]):
        more = connection.recv(65536)
        if not more:
            return b""
        received += more
    pdu = bytes(received[:length])
    del received[:length]
    return pdu
