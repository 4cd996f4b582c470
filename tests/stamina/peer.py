"""A peer of the gateway, client or PACS, which can leave in every way that there is."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dicomgate.testing.peers.loopback import HOST, Address
from dicomgate.testing.raw_client import RawClient
from tests.stamina.crowd import RESET
from tests.stamina.endings import Told
from tests.stamina.measure import scaled

GRACE = scaled(1.0, 2.0)
"""Seconds after a deadline, or after what needs none. The small runs have too busy a machine for one second."""
PATIENCE = 20.0  # seconds for what is no deadline of the gateway's
_SYN_SENT = "02"  # proc(5)
_forking = threading.Lock()
"""A process that is just being started holds everything that is open here, for a moment."""


class Peer(RawClient):
    """One connection: it sends and receives as a raw client does."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.settimeout(PATIENCE)
        self.socket = connected

    @classmethod
    def connect(cls, address: Address, source: str) -> Peer:
        """TCP alone, from an address of 127.0.0.0/8. Raises OSError."""
        return cls(socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0)))

    def secure(self, context: ssl.SSLContext, *, server: bool = False) -> None:
        """Make the TLS handshake. Raises OSError."""
        name = None if server else HOST
        self.socket = context.wrap_socket(self.socket, server_side=server, server_hostname=name)

    def rest(self, seconds: float) -> tuple[bytes, bool]:
        """All that comes up to the end, and True if that was a broken connection. Raises TimeoutError."""
        deadline, received = time.monotonic() + seconds, bytearray()
        while True:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                more = self.socket.recv(65_536)
            except TimeoutError:
                raise TimeoutError(f"no end within {seconds:g} s; received {bytes(received[-16:]).hex()!r}") from None
            except OSError:
                return bytes(received), True
            if not more:
                return bytes(received), False
            received += more

    def stuff(self, block: bytes) -> None:
        """Send the block over and over, until nothing more goes."""
        self.socket.settimeout(0.3)
        with suppress(TimeoutError):
            while True:
                self.socket.sendall(block)

    def wait_until_let_go(self, seconds: float) -> None:
        """Return once the other end is closed: what is sent is answered by a RST. Raises TimeoutError."""
        poll, deadline = select.poll(), time.monotonic() + seconds
        poll.register(self.socket, select.POLLERR | select.POLLHUP)
        while not poll.poll(50):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the gateway has not closed its socket within {seconds:g} s")
            with suppress(OSError):
                socket.socket.send(self.socket, b"\0")  # past TLS

    def close(self) -> None:
        """Say in TLS that it ends, then a FIN."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.setblocking(False)
            with suppress(OSError, ValueError):  # the answer is not awaited
                self.socket.unwrap()
        with suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
        self.socket.close()

    def reset(self) -> None:
        """Send a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def die(self) -> None:
        """Be a process that is killed."""
        kill_who_has(self.socket)


def kill_who_has(connection: socket.socket) -> None:
    """Hand the socket over to a process of its own, which is then killed: its kernel does what it then does."""
    descriptor = connection.detach()
    with _forking:
        process = subprocess.Popen(["sleep", "60"], pass_fds=[descriptor])
        os.close(descriptor)
    process.kill()
    process.wait()


class PacsPort:
    """The port of one PACS: no socket listens on it, or one after the other."""

    def __init__(self) -> None:
        self._holder = self._bound()
        self.address: Address = self._holder.getsockname()
        self.called = f"PACS-{self.address[1]}"

    def close(self) -> None:
        """Give the port back."""
        self._holder.close()

    @contextmanager
    def listening(self) -> Iterator[socket.socket]:
        """Listen, for one connection that is not accepted yet."""
        listener = self._bound(self.address[1])
        try:
            listener.listen(0)
            listener.settimeout(PATIENCE)
            yield listener
        finally:
            with _forking:  # the next one must be the only one that listens
                listener.close()

    @contextmanager
    def full(self) -> Iterator[socket.socket]:
        """Listen, with a queue that is full: Linux passes over every further SYN."""
        with self.listening() as listener, socket.create_connection(self.address):
            yield listener

    def is_called(self) -> bool:
        """True if a SYN to this port has no answer yet."""
        port = f":{self.address[1]:04X}"
        connections = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
        return any(to.endswith(port) and state == _SYN_SENT for _, _, to, state, *_ in connections)

    @staticmethod
    def _bound(port: int = 0) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((HOST, port))
        return bound


def greeting(context: ssl.SSLContext, received: bytes | None = None) -> bytes:
    """The first flight of a TLS handshake: the client's, or the server's answer to it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(received or b"")
    server = received is not None
    side = context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=None if server else HOST)
    with suppress(ssl.SSLWantReadError):
        side.do_handshake()
    return outgoing.read()


def hear(peer: Peer, expected: Told, seconds: float, secured: bool, or_else: Told | None = None) -> None:
    """The peer is told this, or else that, within so many seconds. Raises AssertionError, OSError."""
    if expected.ends:
        received, broken = peer.rest(seconds)
        told = [told for told in (expected, or_else) if told is not None and told.pdu in (received, None)]
        assert told, f"received {received[-16:].hex()!r} instead of {expected.what}"
        assert broken or secured or not told[0].broken, f"an orderly end instead of {expected.what}"
    elif expected.pdu:
        peer.socket.settimeout(seconds)
        received = peer.pdu()
        assert received == expected.pdu, f"received {received.hex()!r} instead of {expected.what}"
