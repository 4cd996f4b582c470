"""A server for a test: it listens from `with` on, converses with each client in a thread, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TypeVar

from dicomgate.testing.peers.loopback import HOST, Address

_Self = TypeVar("_Self", bound="Listening")


class Listening:
    """A context manager. `converse` is what a subclass does with a client, the first one being number 1."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.address: Address = self._listener.getsockname()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name=type(self).__name__)]

    def __enter__(self: _Self) -> _Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for client in self._sockets:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        self._listener.close()

    @property
    def connections(self) -> int:
        """How many clients have come."""
        return len(self._sockets)

    def converse(self, client: socket.socket, number: int) -> None:
        """Talk to one client; an OSError ends it."""
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            arguments = client, len(self._sockets)
            self._threads.append(threading.Thread(target=self._serve, args=arguments, name=type(self).__name__))
            self._threads[-1].start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with client, suppress(OSError):
            self.converse(client, number)
