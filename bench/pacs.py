"""The server of every contestant: it answers C-ECHO at once and discards bulk data and objects. A process of its own.

It reads what the load generator sends and nothing else: a message of an echo comes in one piece; bulk data ends with
an A-RELEASE-RQ, and an object with bytes of its own, to which the C-STORE-RSP is the answer.
`python -m bench.pacs FD TLS_FD CERTIFICATE` serves two listening sockets that it inherits.
"""

from __future__ import annotations

import select
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .messages import BULK, ECHO, ECHO_RSP, OBJECT_END, RELEASE_RP, RELEASE_RQ, STORE_RSP, associate_ac
from .processes import PYTHON, Running, running

_ACCEPT = {calling.encode().ljust(16): associate_ac(calling) for calling in (ECHO, BULK)}
_BULK = BULK.encode().ljust(16)
_ENDS = {RELEASE_RQ: RELEASE_RP, OBJECT_END: STORE_RSP}
_BUFFER = 1 << 20


class Association:
    """What one connection is at."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._calling = b""
        self._tail = b""

    def receive(self, buffer: bytearray) -> bool:
        """Read once and answer; False when the peer is gone."""
        try:
            count = self.connection.recv_into(buffer)
        except OSError:
            return False
        if not count:
            return False
        if not self._calling:
            # PS3.8 table 9-11: the calling AE title is in bytes 27 to 42.
            self._calling = bytes(buffer[26:42])
            self.connection.sendall(_ACCEPT[self._calling])
        elif self._calling == _BULK:
            self._tail = (self._tail + buffer[max(0, count - 10) : count])[-10:]
            if self._tail in _ENDS:
                self.connection.sendall(_ENDS[self._tail])
        else:
            self.connection.sendall(ECHO_RSP if buffer[0] == 4 else RELEASE_RP)
        return True


def serve(listener: socket.socket) -> None:
    """All associations of one socket, in one thread, for ever."""
    poll, buffer = select.epoll(), bytearray(_BUFFER)
    associations: dict[int, Association] = {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                associations[connection.fileno()] = Association(connection)
                poll.register(connection, select.EPOLLIN)
                continue
            association = associations[descriptor]
            alive = False
            with suppress(OSError):
                alive = association.receive(buffer)
            if not alive:
                del associations[descriptor]
                association.connection.close()


def serve_tls(listener: socket.socket, context: ssl.SSLContext) -> None:
    """The same over TLS, with a thread for each association: only the direct contestant comes here."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve_one, args=(connection, context), daemon=True).start()


def _serve_one(connection: socket.socket, context: ssl.SSLContext) -> None:
    buffer = bytearray(_BUFFER)
    with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
        association = Association(secured)
        while association.receive(buffer):
            pass


@dataclass(frozen=True, slots=True)
class Pacs:
    """The running server and its ports."""

    process: Running
    port: int
    tls_port: int


@contextmanager
def pacs(folder: Path, certificate: Path) -> Iterator[Pacs]:
    """Run it; `certificate` is a PEM file with certificate and key."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096)) for _ in range(2)]
        descriptors = [sock.fileno() for sock in sockets]
        command = [PYTHON, "-m", "bench.pacs", *map(str, descriptors), str(certificate)]
        process = stack.enter_context(running(command, folder, "pacs", pass_fds=descriptors))
        yield Pacs(process, sockets[0].getsockname()[1], sockets[1].getsockname()[1])


def main() -> None:
    """Serve both sockets."""
    plain, secured = (socket.socket(fileno=int(descriptor)) for descriptor in sys.argv[1:3])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    threading.Thread(target=serve_tls, args=(secured, context), daemon=True).start()
    serve(plain)


if __name__ == "__main__":
    main()
