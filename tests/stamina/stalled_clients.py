"""Clients that stall, many of them in one thread: each sends what it is told to, and is watched until it is cut."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bench.load import exchange
from bench.messages import associate_rq
from bench.processes import raise_descriptor_limit
from dicomgate.testing.peers.loopback import Address, wait_until

ROOM: Mapping[str, int] = dict.fromkeys(
    ("max_associations", "max_associations_per_source", "max_unauthenticated", "max_unauthenticated_per_source"), 4000
)
"""Settings of a gateway that has a slot for every client."""
_TICK = 1.0  # seconds between two words of a client
_AC = 2


def as_on_ethernet(sock: socket.socket) -> None:
    """Short segments and buffers, before it connects: those of loopback take megabytes without a reader."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    for which in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, which, 65_536)


def request_by(calling: str, called: str = "PACS") -> bytes:
    """Return an A-ASSOCIATE-RQ like the benchmark's, to another called AE title: bytes 11 to 26 (PS3.8 table 9-11)."""
    pdu = associate_rq(calling)
    return pdu[:10] + called.encode().ljust(16) + pdu[26:]


def drop_by_drop(data: bytes) -> list[bytes]:
    """Its bytes, one by one."""
    return [data[at : at + 1] for at in range(len(data))]


@dataclass(eq=False)
class StalledClient:
    """One client. It sends one of `words` each second, and `pours` again and again, as fast as possible.

    `since` is when its deadline began: when it connected, associated, or began to pour.
    """

    connection: socket.socket
    words: Iterator[bytes]
    pours: memoryview = memoryview(b"")  # noqa: RUF009 (it cannot be changed)
    since: float = field(default_factory=time.monotonic)
    ended: float | None = None
    received: bytes = b""
    _poured: int = 0  # of `pours`

    @property
    def port(self) -> int:
        """Its own port, which identifies it in the audit."""
        return int(self.connection.getsockname()[1])

    @property
    def lasted(self) -> float:
        """Seconds from `since` until it was cut; infinite if it was not."""
        return float("inf") if self.ended is None else self.ended - self.since

    def serve(self, events: int) -> bool:
        """Read, or pour; False if the connection has ended."""
        try:
            if events & selectors.EVENT_READ:
                data = self.connection.recv(65_536)
                self.received += data
                return bool(data)
            self._poured = (self._poured + self.connection.send(self.pours[self._poured :])) % len(self.pours)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


class StalledClients:
    """A context manager. Each client keeps its end of the connection open until the end of the block."""

    def __init__(self) -> None:
        raise_descriptor_limit()
        self._clients: list[StalledClient] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> StalledClients:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for client in self._clients:
            client.connection.close()

    def connect(
        self, address: Address, count: int, opening: bytes, words: Iterable[bytes] = (), source: str = ""
    ) -> list[StalledClient]:
        """Let `count` clients connect, send the opening, and then one of the words each second."""
        for _ in range(count):
            client = self._enter(address, words, source)
            with suppress(OSError):  # it was cut already, as its next read tells
                client.connection.sendall(opening)
            self._watch(client)
        return self._clients[-count:]

    def associate(
        self,
        address: Address,
        count: int,
        opening: bytes,
        then: bytes = b"",
        *,
        words: Iterable[bytes] = (),
        pours: bytes = b"",
        deaf: bool = False,
        source: str = "",
    ) -> list[StalledClient]:
        """Let `count` clients associate, send `then`, and send words or pour. A deaf client reads no more."""
        for _ in range(count):
            client = self._enter(address, words, source, bulk=deaf or bool(pours))
            exchange(client.connection, opening, _AC)
            client.connection.sendall(then)
            client.since, client.pours = time.monotonic(), memoryview(pours)
            if not deaf:
                self._watch(client)
        return self._clients[-count:]

    def wait(self, seconds: float) -> None:
        """Watch for so many seconds, or until all clients that read are cut."""
        now = time.monotonic()
        end, tick = now + seconds, now + _TICK
        for client in self._clients:
            if client.pours:
                client.since = now
        while self._selector.get_map() and now < end:
            for key, events in self._selector.select(max(0.0, min(end, tick) - now)):
                if not key.data.serve(events):
                    self._selector.unregister(key.fileobj)
                    key.data.ended = time.monotonic()
            now = time.monotonic()
            if now >= tick:
                tick += _TICK
                for client in self._clients:
                    with suppress(OSError):  # it was cut, as its next read tells
                        client.connection.send(next(client.words, b""))

    def await_answers(self, clients: Iterable[StalledClient]) -> None:
        """Watch until all of these have received something. Raises TimeoutError."""

        def answered() -> bool:
            self.wait(0.1)
            return all(client.received for client in clients)

        wait_until(answered, "answers")

    def _enter(self, address: Address, words: Iterable[bytes], source: str, *, bulk: bool = False) -> StalledClient:
        client = StalledClient(socket.socket(), iter(words))
        self._clients.append(client)
        if bulk:
            as_on_ethernet(client.connection)
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connection.settimeout(20)
        if source:
            client.connection.bind((source, 0))
        client.connection.connect(address)
        client.since = time.monotonic()
        return client

    def _watch(self, client: StalledClient) -> None:
        client.connection.setblocking(False)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.pours else 0)
        self._selector.register(client.connection, events, client)
