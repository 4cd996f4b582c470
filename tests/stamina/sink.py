"""A PACS that takes all PDUs and keeps their hash: what arrived, to the last byte, and how it ended."""

import hashlib
import socket
from dataclasses import dataclass, field
from struct import unpack_from
from typing import Any, Self

from dicomgate.testing.peers.loopback import wait_until
from dicomgate.testing.peers.spy import Connection, Spy, accept_all
from dicomgate.testing.raw_client import RELEASE_RP, RELEASE_RQ

CALLED = "SINK"
RELEASED, ENDED, BROKEN = "released", "ended", "broken"


@dataclass
class Taken:
    """What one association brought after its A-ASSOCIATE-RQ; a release is not counted."""

    calling: str
    connection: socket.socket
    digest: Any = field(default_factory=hashlib.sha256)  # of all whole PDUs
    last: bytes = b""  # the last whole PDU
    rest: bytes = b""  # the beginning of one that did not arrive whole
    end: str = ""  # RELEASED, ENDED (the end of the stream), BROKEN (a RST), or "" as long as it lasts


class Sink(Spy):
    """A spy that keeps hashes instead of all bytes, in `taken`, and answers every release."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Taken] = []

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def of(self, calling: str) -> Taken:
        """Return what the one association of this calling AE title brought."""
        [taken] = [taken for taken in self.taken if taken.calling == calling]
        return taken

    def wait_for_ends(self) -> None:
        """Return once no association is under way."""
        wait_until(lambda: all(taken.end for taken in self.taken), "the associations of the sink ending")

    def _converse(self, client: socket.socket, connection: Connection) -> None:
        with client:
            if request := _read(client, bytearray()):
                taken = Taken(request[26:42].decode().strip(), client)  # PS3.8 table 9-11
                self.taken.append(taken)
                client.sendall(accept_all(request))
                taken.end = _take(client, taken)


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
