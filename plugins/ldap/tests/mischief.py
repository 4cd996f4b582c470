"""Servers that do nothing good: silent, hung in the middle, talking something else; and a slow way to a good one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from dicomgate.testing.peers.loopback import HOST, Address

_Self = TypeVar("_Self", bound="Listening")
Conversation = Callable[[socket.socket], None]

STARTTLS_SUCCEEDS = bytes.fromhex("300c 020101 7807 0a0100 0400 0400")  # RFC 4511 4.14.2


def silent(client: socket.socket) -> None:
    """Take what comes, and say nothing."""
    while client.recv(65536):
        pass


def says(first: bytes, *, ends: bool = False) -> Conversation:
    """Answer the first request with these bytes, then hang up or hang."""

    def converse(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(first)
        if not ends:
            silent(client)

    return converse


def hangs_up(client: socket.socket) -> None:
    """Say goodbye at once."""


def slowly_to(address: Address, seconds: float) -> Conversation:
    """Pass everything on, each piece of an answer so much later."""

    def converse(client: socket.socket) -> None:
        with socket.create_connection(address) as server:
            there = threading.Thread(target=_pass_on, args=(client, server, 0.0), name="mischief")
            there.start()
            _pass_on(server, client, seconds)
            there.join()

    return converse


def _pass_on(source: socket.socket, target: socket.socket, seconds: float) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            time.sleep(seconds)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


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


class Mischief(Listening):
    """It listens from `with` on, and converses with everybody in the same way."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__()
        self.conversation = conversation

    def url(self, scheme: str = "ldap") -> str:
        """The server's, as it stands in a configuration."""
        return f"{scheme}://{self.address[0]}:{self.address[1]}"

    def converse(self, client: socket.socket, number: int) -> None:
        self.conversation(client)
