"""Clients that stall, many of them in one thread: each says what it is told to, and is watched until it is cut."""

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
from tests.stamina.contrary import as_on_ethernet

Address = tuple[str, int]
ROOM: Mapping[str, int] = dict.fromkeys(
    ("max_associations", "max_associations_per_source", "max_unauthenticated", "max_unauthenticated_per_source"), 4000
)
"""Settings of a gateway that has a place for every guest."""
_TICK = 1.0  # seconds between two words of a guest that talks
_AC = 2


def request(calling: str, called: str = "PACS") -> bytes:
    """An A-ASSOCIATE-RQ like the benchmark's, to another called AE title: bytes 11 to 26 (PS3.8 table 9-11)."""
    pdu = associate_rq(calling)
    return pdu[:10] + called.encode().ljust(16) + pdu[26:]


def drop_by_drop(data: bytes) -> list[bytes]:
    """Its bytes, one by one."""
    return [data[at : at + 1] for at in range(len(data))]


@dataclass(eq=False)
class Guest:
    """One client. `words` are said one a second; `pours` is sent again and again, as fast as it goes.

    `since` is when its deadline began to run: when it connected, associated, or began to pour.
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
        """The port that it came from: who it is in the audit."""
        return int(self.connection.getsockname()[1])

    @property
    def lasted(self) -> float:
        """Seconds from then until it was cut; infinite while it is not."""
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


class Guests:
    """A context manager. A guest keeps its end of the connection open up to the end, whatever the gateway does."""

    def __init__(self) -> None:
        raise_descriptor_limit()
        self._guests: list[Guest] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Guests:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for guest in self._guests:
            guest.connection.close()

    def come(
        self, address: Address, count: int, opening: bytes, words: Iterable[bytes] = (), source: str = ""
    ) -> list[Guest]:
        """So many connect, send the opening, and say one of the words each second."""
        come = []
        for _ in range(count):
            guest = self._enter(address, words, source)
            with suppress(OSError):  # it was cut already, as its next read tells
                guest.connection.sendall(opening)
            come.append(guest)
            self._watch(guest)
        return come

    def associate(
        self,
        address: Address,
        count: int,
        opening: bytes,
        behind: bytes = b"",
        *,
        words: Iterable[bytes] = (),
        pours: bytes = b"",
        deaf: bool = False,
        source: str = "",
    ) -> list[Guest]:
        """So many associate, send what comes behind the opening, and talk or pour; who is deaf reads no more."""
        come = []
        for _ in range(count):
            guest = self._enter(address, words, source, bulk=deaf or bool(pours))
            exchange(guest.connection, opening, _AC)
            guest.connection.sendall(behind)
            guest.since, guest.pours = time.monotonic(), memoryview(pours)
            come.append(guest)
            if not deaf:
                self._watch(guest)
        return come

    def wait(self, seconds: float) -> None:
        """Watch for so many seconds, or until all who read are cut."""
        now = time.monotonic()
        end, tick = now + seconds, now + _TICK
        for guest in self._guests:
            if guest.pours:
                guest.since = now
        while self._selector.get_map() and now < end:
            for key, events in self._selector.select(max(0.0, min(end, tick) - now)):
                if not key.data.serve(events):
                    self._selector.unregister(key.fileobj)
                    key.data.ended = time.monotonic()
            now = time.monotonic()
            if now >= tick:
                tick += _TICK
                for guest in self._guests:
                    with suppress(OSError):  # it was cut, as its next read tells
                        guest.connection.send(next(guest.words, b""))

    def _enter(self, address: Address, words: Iterable[bytes], source: str, *, bulk: bool = False) -> Guest:
        guest = Guest(socket.socket(), iter(words))
        self._guests.append(guest)
        if bulk:
            as_on_ethernet(guest.connection)
        guest.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        guest.connection.settimeout(20)
        if source:
            guest.connection.bind((source, 0))
        guest.connection.connect(address)
        guest.since = time.monotonic()
        return guest

    def _watch(self, guest: Guest) -> None:
        guest.connection.setblocking(False)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if guest.pours else 0)
        self._selector.register(guest.connection, events, guest)
