"""The plays of the soak: good clients, bad ones, and those whom the upstream fails. None of them must leave a trace."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

from bench.messages import BULK, ECHO, ECHO_RQ, PASSCODE, RELEASE_RQ, associate_rq, bulk_block
from dicomgate.testing.peers.loopback import HOST, Address
from dicomgate.testing.peers.spy import reject
from dicomgate.testing.raw_client import ABORT, CONGESTION, REFUSED_IDENTITY, login, request
from tests.stamina.crowd import RESET, Caller, Door, Play
from tests.stamina.process import NOWHERE

_AC, _RJ, _P_DATA, _RELEASE_RP, _ABORT = 2, 3, 4, 6, 7
_ECHO, _BULK = associate_rq(ECHO), associate_rq(BULK)
_BLOCK = bulk_block(16384, 65536)
_GOOD = login("alice", PASSCODE)
_REJECTED = reject(1, 1, 3)  # calling AE title not recognized
_NUMBERS = count()
_VECTORS = Path(__file__).parents[1] / "vectors" / "associate_rq.json"

MALFORMED = [bytes.fromhex(row["pdu"]) for row in json.loads(_VECTORS.read_text())["rows"]]
"""All rows: those that can be read have a passcode that is wrong here, or none."""


def echo(door: Door) -> Play:
    """A C-ECHO and a release."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from echo_by(caller)


def echo_by(caller: Caller) -> Play:
    """The same by one who is connected."""
    yield from caller.ask(_ECHO, _AC)
    yield from caller.ask(ECHO_RQ, _P_DATA)
    yield from caller.ask(RELEASE_RQ, _RELEASE_RP)


def bulk(door: Door) -> Play:
    """64 KiB in four PDUs."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from caller.ask(_BULK, _AC)
        yield from caller.send(_BLOCK)
        yield from caller.ask(RELEASE_RQ, _RELEASE_RP)


def guesses(door: Door) -> Play:
    """A passcode that is wrong, of a user and from an address that was never there."""
    number = next(_NUMBERS)
    source = f"127.{1 + number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}"
    return _refused(door, request(login(f"mallory-{number}", b"wrong")), REFUSED_IDENTITY, source)


def without_identity(door: Door) -> Play:
    """Where one is required."""
    return _refused(door, request(), REFUSED_IDENTITY)


def malformed(door: Door, asked: bytes) -> Play:
    """Anything but an A-ASSOCIATE-AC."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from caller.send(asked)
        answer = yield from caller.pdu()
        assert answer[:1] in (b"", bytes((_RJ,)), bytes((_ABORT,))), answer[:10].hex()


def refused_by_upstream(door: Door) -> Play:
    """The upstream's own A-ASSOCIATE-RJ arrives."""
    return _refused(door, request(_GOOD, called=Fickle.REFUSES), _REJECTED)


def left_by_upstream(door: Door) -> Play:
    """The upstream resets the connection instead of an answer."""
    return _refused(door, request(_GOOD, called=Fickle.LEAVES), CONGESTION)


def no_upstream(door: Door) -> Play:
    """Nobody listens there."""
    return _refused(door, request(_GOOD, called=NOWHERE.encode()), CONGESTION)


def _refused(door: Door, asked: bytes, expected: bytes, source: str = "") -> Play:
    with Caller(door, source) as caller:
        yield from caller.open()
        answer = yield from caller.ask(asked, _RJ)
        assert answer == expected, answer.hex()


def aborts(door: Door) -> Play:
    """An A-ABORT in an association, and a close."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from caller.ask(_ECHO, _AC)
        yield from caller.send(ABORT)
        yield from caller.end()


def aborts_early(door: Door) -> Play:
    """An A-ABORT right behind the request."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from caller.send(_ECHO + ABORT)
        yield from caller.end()


def asks_twice(door: Door) -> Play:
    """A second A-ASSOCIATE-RQ in an association."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from caller.ask(_ECHO, _AC)
        yield from caller.ask(_ECHO, _ABORT)


def resets(door: Door) -> Play:
    """A RST in the middle of a PDU."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from caller.ask(_BULK, _AC)
        yield from caller.send(_BLOCK[:40_000])
        caller.reset()


def resets_early(door: Door) -> Play:
    """A RST where the answer is awaited."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from caller.send(_ECHO)
        caller.reset()


def half_a_request(door: Door) -> Play:
    """The end of the stream in the middle of an A-ASSOCIATE-RQ."""
    with Caller(door) as caller:
        yield from caller.open()
        yield from caller.send(_ECHO[:100])


def says_nothing(door: Door) -> Play:
    """Opened and closed; with TLS, in the middle of its handshake."""
    with Caller(door) as caller:
        yield from caller.connect()
        if door.tls is not None:
            yield from caller.send(b"\x16\x03\x01\x02\x00\x01")  # the header of a ClientHello (RFC 8446 4)


def no_tls(door: Door) -> Play:
    """Plain DICOM to a door with TLS: nothing that could be an A-ASSOCIATE-AC comes back."""
    with Caller(Door(door.address)) as caller:
        yield from caller.open()
        yield from caller.send(_ECHO)
        answer = b""
        with suppress(OSError):
            answer = yield from caller.pdu()
        assert answer[:1] in (b"", b"\x15"), answer[:10].hex()  # an alert (RFC 8446 5.1)


class Fickle(BaseRequestHandler):
    """An upstream for called AE titles that get no A-ASSOCIATE-AC."""

    REFUSES, LEAVES = b"REFUSES", b"LEAVES"

    def handle(self) -> None:
        with suppress(OSError):
            asked = self.request.recv(65536)
            if self.LEAVES in asked[:26]:
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
            self.request.sendall(_REJECTED)
            while self.request.recv(65536):
                pass


class _Server(ThreadingTCPServer):
    request_queue_size = 1024
    daemon_threads = True

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        self.close_request(request)  # without the end of the stream that the base class sends first


@contextmanager
def fickle_upstream() -> Iterator[Address]:
    """Run it, and yield its address."""
    with _Server((HOST, 0), Fickle) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield HOST, server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()
