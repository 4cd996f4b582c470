"""A scripted PACS: it records every byte of every connection, and answers with the bytes it was given.

The n-th PDU of a connection is answered by the n-th entry of the script. The bytes to answer with come from
pynetdicom (`accept_all`) or from the test's own hand.
"""

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from .loopback import HOST, Address, wait_until

Answer = bytes | Callable[[bytes], bytes]

HANG_UP = b"\xff hang up"  # an answer that closes the connection instead
RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")  # PS3.8 9.3.7


def reject(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return bytes.fromhex("03 00 00000004 00") + bytes([result, source, reason])


def abort(source: int, reason: int) -> bytes:
    """Return an A-ABORT (PS3.8 9.3.8)."""
    return bytes.fromhex("07 00 00000004 00 00") + bytes([source, reason])


def accept_all(request: bytes) -> bytes:
    """Return an A-ASSOCIATE-AC that accepts every presentation context with the first transfer syntax it proposes."""
    rq = A_ASSOCIATE_RQ()
    rq.decode(request)
    primitive = rq.to_primitive()
    # What the acceptor answers of the user information is its own: here the maximum length and its implementation.
    primitive.user_information = [
        item
        for item in primitive.user_information
        if type(item).__name__ in {"MaximumLengthNotification", "ImplementationClassUIDNotification"}
    ]
    for context in primitive.presentation_context_definition_list:
        context.result = 0x00
        context.transfer_syntax = context.transfer_syntax[:1]
    primitive.presentation_context_definition_results_list = primitive.presentation_context_definition_list
    primitive.result = 0x00
    accept = A_ASSOCIATE_AC()
    accept.from_primitive(primitive)
    encoded: bytes = accept.encode()
    return encoded


def with_server_response(accept: bytes, response: bytes) -> bytes:
    """Return the A-ASSOCIATE-AC with a sub-item 59H (PS3.7 D.3.3.7.2) at the end of its item 50H, which is its last."""
    item = struct.pack(">BBHH", 0x59, 0, len(response) + 2, len(response)) + response
    position = 74
    while accept[position] != 0x50:
        position += 4 + struct.unpack_from(">H", accept, position + 2)[0]
    changed = bytearray(accept + item)
    struct.pack_into(">H", changed, position + 2, len(changed) - position - 4)
    struct.pack_into(">I", changed, 2, len(changed) - 6)
    return bytes(changed)


@dataclass
class Connection:
    """What one connection brought."""

    received: bytearray = field(default_factory=bytearray)
    closed: bool = False  # the peer ended it

    def pdus(self) -> list[bytes]:
        """Return the complete PDUs received, cut by their headers (PS3.8 9.3.1)."""
        pdus, rest = [], bytes(self.received)
        while len(rest) >= 6:
            length = 6 + struct.unpack_from(">I", rest, 2)[0]
            if len(rest) < length:
                break
            pdus.append(rest[:length])
            rest = rest[length:]
        return pdus


class Spy:
    """A context manager: it listens from `with` on, and nothing of it is left afterwards."""

    def __init__(self, script: Sequence[Answer] = (accept_all,)) -> None:
        self.script = script
        self.connections: list[Connection] = []
        self._listener = socket.create_server((HOST, 0))
        self.address: Address = self._listener.getsockname()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="spy")]
        self._stopping = False

    def __enter__(self) -> "Spy":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        # A shutdown, unlike a close, wakes the thread that waits in accept or recv.
        for open_socket in (self._listener, *self._sockets):
            _shutdown(open_socket)
        self._threads[0].join()  # from here on no socket is added
        for open_socket in self._sockets:
            _shutdown(open_socket)
        for thread in self._threads[1:]:
            thread.join()
        for open_socket in (self._listener, *self._sockets):
            open_socket.close()

    def received(self) -> bytes:
        """Return every byte of every connection, in the order of the connections."""
        return b"".join(bytes(connection.received) for connection in self.connections)

    def wait_for(self, count: int, *, closed: bool = False) -> None:
        """Return once there were `count` connections, or with `closed`, once the peer ended that many."""
        wait_until(
            lambda: sum(connection.closed or not closed for connection in self.connections) >= count,
            f"{count} connections{' closed' if closed else ''}",
        )

    def _accept(self) -> None:
        while not self._stopping:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection()
            self._sockets.append(client)
            self._threads.append(threading.Thread(target=self._converse, args=(client, connection), name="spy"))
            self.connections.append(connection)
            self._threads[-1].start()

    def _converse(self, client: socket.socket, connection: Connection) -> None:
        answered = 0
        try:
            while data := _receive(client):
                connection.received += data
                pdus = connection.pdus()
                for answer, pdu in zip(self.script[answered : len(pdus)], pdus[answered:], strict=False):
                    reply = answer(pdu) if callable(answer) else answer
                    if reply == HANG_UP:
                        _shutdown(client)
                        return
                    with suppress(OSError):  # the peer has gone: the next receive says so
                        client.sendall(reply)
                answered = len(pdus)
        finally:
            connection.closed = True
            client.close()


def _receive(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except OSError:  # reset by the peer: the same end to a spy
        return b""


def _shutdown(open_socket: socket.socket) -> None:
    with suppress(OSError):  # it was closed already
        open_socket.shutdown(socket.SHUT_RDWR)
