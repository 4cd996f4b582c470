"""The listeners of a running gateway: which are open, and what a reload changes of them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial

from ..kit.addresses import show_address
from ..net.keepalive import keep_alive
from ..net.listener import Address, Listener
from .generation import Generation
from .policies import listener_in_words

_log = logging.getLogger("dicomgate.server")


class Listening:
    """`accepted` is called with the configured address, and with each connection and the address of its client.

    `bound` has the address that each listener got, by the address in the configuration, whose port may be 0.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, accepted: Callable[[Address, socket.socket, Address], None]
    ) -> None:
        self.bound: dict[Address, Address] = {}
        self._loop = loop
        self._accepted = accepted
        self._listeners: dict[Address, Listener] = {}

    def adopt(self, generation: Generation) -> None:
        """Listen where this generation does, and nowhere else."""
        for address in [address for address in self._listeners if address not in generation.sockets]:
            self._listeners.pop(address).close()
            del self.bound[address]
            _log.info("no longer listening on %s", show_address(*address))
        for address, sock in generation.sockets.items():
            keep_alive(sock, generation.assembly.listeners[address].keepalive)
            if address not in self._listeners:
                self.bound[address] = sock.getsockname()[:2]
                self._listeners[address] = Listener(self._loop, sock, partial(self._accepted, address))
        for address, listener in generation.assembly.listeners.items():
            _log.info("listening on %s: %s", show_address(*self.bound[address]), listener_in_words(listener))

    def close(self) -> None:
        """Listen nowhere. Idempotent."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
