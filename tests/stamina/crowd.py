"""Many clients at once in one thread, each of them a generator, such as `talk`.

A generator yields the socket and the event that it waits for. One that ends has succeeded; one that raises has failed.
"""

import selectors
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from struct import pack, unpack_from
from typing import Self, TypeAlias, TypeVar

from bench.messages import ECHO, ECHO_RQ, RELEASE_RQ, associate_rq
from dicomgate.testing.peers.loopback import HOST, Address

AC, RJ, P_DATA, RELEASE_RP, A_ABORT = 2, 3, 4, 6, 7
OPENS_ECHO = associate_rq(ECHO), AC
ECHOES = OPENS_ECHO, (ECHO_RQ, P_DATA), (RELEASE_RQ, RELEASE_RP)
"""The steps of a C-ECHO, for `talk`: what is sent, and the type of the PDU that answers."""

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_PATIENCE = 30.0  # seconds in which at least one of them must make progress
RESET = pack("ii", 1, 0)
"""SO_LINGER with no time: the close is a RST."""

_Result = TypeVar("_Result")
Waiting: TypeAlias = Generator[tuple[socket.socket, int], None, _Result]
Play: TypeAlias = Waiting[None]


@dataclass(frozen=True)
class Listener:
    """The address of a listener; with `tls`, a client makes a handshake."""

    address: Address
    tls: ssl.SSLContext | None = None


class Caller:
    """One connection, closed after the block. What may have to wait is a generator. `source` is its address."""

    def __init__(self, listener: Listener, source: str = "") -> None:
        self._listener = listener
        self.socket = socket.socket()
        if source:
            self.socket.bind((source, 0))
        self.socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def connect(self) -> Waiting[None]:
        """TCP alone. Raises OSError."""
        self.socket.connect_ex(self._listener.address)
        yield self.socket, WRITE
        if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "not connected")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def open(self) -> Waiting[None]:
        """TCP, and TLS where the listener has it. Raises OSError."""
        yield from self.connect()
        if self._listener.tls is not None:
            self.socket = secured = self._listener.tls.wrap_socket(
                self.socket, do_handshake_on_connect=False, server_hostname=HOST
            )
            yield from self._when_ready(secured.do_handshake)

    def send(self, data: bytes) -> Waiting[None]:
        """Send all of it. Raises OSError."""
        rest = memoryview(data)
        while rest:
            sent = yield from self._when_ready(lambda: self.socket.send(rest), WRITE)  # noqa: B023 (called at once)
            rest = rest[sent:]

    def pdu(self) -> Waiting[bytes]:
        """Return the next PDU; what there was of it at the end of the stream. Raises OSError."""
        received = b""
        while len(received) < 6 or len(received) < 6 + unpack_from(">L", received, 2)[0]:
            missing = 6 + unpack_from(">L", received, 2)[0] if len(received) >= 6 else 6
            more = yield from self._when_ready(lambda: self.socket.recv(missing - len(received)))  # noqa: B023
            if not more:
                break
            received += more
        return received

    def ask(self, data: bytes, expected: int) -> Waiting[bytes]:
        """Send, and return the PDU that answers. Raises AssertionError if it is of another type, OSError."""
        yield from self.send(data)
        answer = yield from self.pdu()
        assert answer[:1] == bytes((expected,)), f"expected {expected:02X}H, received {answer[:10].hex() or 'the end'}"
        return answer

    def end(self) -> Waiting[None]:
        """Pass over what still comes, up to the end of the stream or a broken connection."""
        try:
            while (yield from self._when_ready(lambda: self.socket.recv(65536))):
                pass
        except OSError:
            pass

    def reset(self) -> None:
        """Close with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def take(self, *steps: tuple[bytes, int | None]) -> Waiting[None]:
        """Send what each step has, and read the PDU of the type that must answer, if any. Raises what `ask` raises."""
        for data, expected in steps:
            yield from self.send(data) if expected is None else self.ask(data, expected)

    def _when_ready(self, act: Callable[[], _Result], event: int = READ) -> Waiting[_Result]:
        while True:
            try:
                return act()
            except ssl.SSLWantWriteError:
                yield self.socket, WRITE
            except ssl.SSLWantReadError:
                yield self.socket, READ
            except BlockingIOError:
                yield self.socket, event


def talk(listener: Listener, *steps: tuple[bytes, int | None], end: bool = False, reset: bool = False) -> Play:
    """One connection: it takes the steps, then awaits the end (`end`), or closes with a RST, or with a FIN."""
    with Caller(listener) as caller:
        yield from caller.open()
        yield from caller.take(*steps)
        if end:
            yield from caller.end()
        if reset:
            caller.reset()


@dataclass
class Crowd:
    """Runs plays. `done` counts those that went as they should, by name; `failed` says of the others why."""

    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self, plays: Iterable[tuple[str, Play]], at_once: int) -> None:
        """All of them, so many at a time. Raises TimeoutError when none makes progress."""
        for name, play in plays:
            self._go_on(name, play)
            while len(self._selector.get_map()) >= at_once:
                self._wait()
        self._finish()

    def run_at(self, rate: float, plays: Iterable[tuple[str, Play]]) -> None:
        """Start so many a second, however long each of them takes. Raises TimeoutError when none makes progress."""
        begin = time.monotonic()
        for number, (name, play) in enumerate(plays):
            while (early := begin + number / rate - time.monotonic()) > 0:
                self._turn(early)
            self._go_on(name, play)
        self._finish()

    def _finish(self) -> None:
        while self._selector.get_map():
            self._wait()
        self._selector.close()

    def _wait(self) -> None:
        if not self._turn(_PATIENCE):
            waiting = Counter(key.data[0] for key in self._selector.get_map().values())
            raise TimeoutError(f"nothing happened for {_PATIENCE:g} s; still there: {dict(waiting)}")

    def _turn(self, seconds: float) -> bool:
        ready = self._selector.select(seconds)
        for key, _ in ready:
            self._selector.unregister(key.fileobj)
            self._go_on(*key.data)
        return bool(ready)

    def _go_on(self, name: str, play: Play) -> None:
        try:
            waits_for, event = next(play)
        except StopIteration:
            self.done[name] += 1
        except (AssertionError, OSError) as error:
            self.failed.append(f"{name}: {error!r}")
        else:
            self._selector.register(waits_for, event, (name, play))
