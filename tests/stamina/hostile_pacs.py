"""A PACS that stalls its clients, in a way that the calling AE title names. A process of its own.

`python -m tests.stamina.hostile_pacs FD` serves a listening socket that it inherits.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.messages import RELEASE_RQ, associate_ac, bulk_block
from bench.processes import PYTHON, ROOT, running

POURS, DEAF, MUTE, LEAVES = "POURS", "DEAF", "MUTE", "LEAVES"
"""Sends bulk data without an end and reads none; reads nothing; answers nothing; asks for the release, and that is all.

None of them closes its connection before the other side does.
"""
_BUFFER = 65_536
_BLOCK = memoryview(bulk_block(16_384))


def as_on_ethernet(sock: socket.socket) -> None:
    """Short segments and buffers, before it connects or listens: those of loopback take megabytes that nobody reads."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    for which in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, which, _BUFFER)


class Association:
    """What one connection is at; `wants` are the events of epoll that it awaits."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.wants = select.EPOLLIN
        self._accepted = False
        self._sent = 0  # of the block

    def serve(self, event: int) -> bool:
        """Do what is next; False when the peer is gone."""
        if event & select.EPOLLOUT:
            self._sent = (self._sent + self.connection.send(_BLOCK[self._sent :])) % len(_BLOCK)
            return True
        data = self.connection.recv(_BUFFER) if event & select.EPOLLIN else b""
        if data and not self._accepted:
            # PS3.8 table 9-11: the calling AE title is in bytes 27 to 42.
            self._accept(data[26:42].decode("ascii").rstrip())
        return bool(data)

    def _accept(self, calling: str) -> None:
        self._accepted = True
        self.connection.sendall(associate_ac(calling) + (RELEASE_RQ if calling == LEAVES else b""))
        self.wants = {POURS: select.EPOLLOUT, DEAF: 0}.get(calling, select.EPOLLIN)


def serve(listener: socket.socket) -> None:
    """All associations, for ever."""
    poll = select.epoll()
    associations: dict[int, Association] = {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for descriptor, event in poll.poll():
            if descriptor == listener.fileno():
                connection, _ = listener.accept()
                connection.setblocking(False)
                associations[connection.fileno()] = Association(connection)
                poll.register(connection, select.EPOLLIN)
                continue
            association = associations[descriptor]
            alive = False
            with suppress(OSError):
                alive = association.serve(event)
            if alive:
                poll.modify(descriptor, association.wants)
            else:
                del associations[descriptor]
                association.connection.close()


@contextmanager
def contrary_pacs(folder: Path) -> Iterator[int]:
    """Run it: its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        as_on_ethernet(listener)
        command = [PYTHON, "-m", "tests.stamina.hostile_pacs", str(listener.fileno())]
        path = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
        with running(command, folder, "contrary", environment=path, pass_fds=[listener.fileno()]):
            yield int(listener.getsockname()[1])


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
