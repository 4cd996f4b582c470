"""Hosts that do not answer, and a resolver of our own: what a network does when half of it is down."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Any

import pytest

from ...kit import host
from .loopback import Address


@contextmanager
def silent(host: str, port: int = 0) -> Iterator[Address]:
    """An address at which nobody answers: what is sent to it is dropped, as by a firewall or a host that is off.

    Yields the address.
    """
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((host, port), backlog=0))
        address: Address = server.getsockname()[:2]
        for _ in range(2):  # Linux takes one more than the backlog says, and then answers no more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address


class Names:
    """What the resolver answers for some host names; a name without addresses is unknown, one with None hangs."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.addresses: dict[str, list[str] | None] = {}
        self.asked: list[str] = []
        self._over = Event()
        self._resolve = socket.getaddrinfo
        patch.setattr(socket, "getaddrinfo", self._answer)
        patch.setattr(host, "_FRESH", 0.0)  # a change counts at once

    def _answer(self, name: str, *arguments: Any, **options: Any) -> list[Any]:
        if name not in self.addresses:
            return self._resolve(name, *arguments, **options)
        self.asked.append(name)
        addresses = self.addresses[name]
        if addresses is None:
            self._over.wait(30)
            addresses = self.addresses[name]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found for address in addresses for found in self._resolve(address, *arguments, **options)]

    def release(self) -> None:
        """End the look-ups that hang."""
        self._over.set()
