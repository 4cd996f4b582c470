"""The first message of a TLS handshake: `Hello.take` (RFC 8446 4.1.2, 4.1.3, 5.1), in records of any size.

Promise: it is passed on or refused with TlsError. What is passed on are the records as they came. However they are cut,
no ClientHello or ServerHello that is well-formed passes with a key share of a finite field.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from dicomgate.net.tls import TlsError
from dicomgate.net.tls_hello import HEADER, Hello

from ..engine import Target
from ..pieces import pieces


def _run(data: bytes) -> None:
    finite = any(group >> 8 == 1 for group in _groups(data))
    for came in ([data], pieces(data)):
        hello, taken, passed = Hello(), b"", b""
        for piece in came:
            record = HEADER.pack(22, 0x0303, len(piece) & 0xFFFF) + piece
            taken += record
            if released := hello.take(record):
                passed += released
                assert passed == taken
            if not hello.awaited:
                break
        assert not finite or passed != taken


def _groups(messages: bytes) -> list[int]:
    """The groups of the key_share in a ServerHello, or in a ClientHello; none unless all of its lengths add up."""
    while messages.startswith(bytes(4)):  # a HelloRequest, which a client passes over
        messages = messages[4:]
    kind = messages[:1]
    try:
        body = BytesIO(_vector(BytesIO(messages[1:]), 3))
        body.read(34)
        _vector(body, 1)
        if kind == b"\1":
            _vector(body, 2), _vector(body, 1)
        else:
            body.read(3)
        extensions = BytesIO(_vector(body, 2))
        content = dict(_pairs(extensions)).get(0x33, b"")
        shares = BytesIO(_vector(BytesIO(content), 2)) if kind == b"\1" and content else BytesIO()
        if kind == b"\2" and content:
            return [int.from_bytes(content[:2])]
        return [group for group, _ in _pairs(shares)]
    except ValueError:
        return []


def _pairs(stream: BytesIO) -> Iterator[tuple[int, bytes]]:
    while number := stream.read(2):
        yield int.from_bytes(number), _vector(stream, 2)


def _vector(stream: BytesIO, size: int) -> bytes:
    """A vector behind a length of so many bytes (RFC 8446 3.4). Raises ValueError if it is cut off."""
    head = stream.read(size)
    found = stream.read(int.from_bytes(head))
    if len(head) < size or len(found) < int.from_bytes(head):
        raise ValueError("cut off")
    return found


def _length(content: bytes, size: int = 2) -> bytes:
    return len(content).to_bytes(size) + content


def _hello(*groups: int) -> bytes:
    """A ClientHello with server_name, supported_versions and a share of each of these groups."""
    shares = b"".join(group.to_bytes(2) + _length(bytes(32)) for group in groups)
    extensions = b"\0\0" + _length(_length(b"\0" + _length(b"gate.hospital.example")))
    extensions += b"\0\x2b" + _length(_length(b"\3\4\3\3", 1)) + b"\0\x33" + _length(_length(shares))
    suites = b"\x13\1\x13\2\xc0\x2f"
    return b"\1" + _length(b"\3\3" + bytes(32) + _length(b"", 1) + _length(suites) + b"\1\0" + _length(extensions), 3)


def _seeds() -> list[bytes]:
    elliptic, finite = (
        b"\2" + _length(b"\3\3" + bytes(33) + b"\x13\1\0" + _length(b"\0\x33\0\2" + group), 3)
        for group in (b"\0\x1d", b"\1\4")
    )
    hellos = [_hello(0x1D), _hello(0x1D, 0x17), _hello(0x0104), _hello(0x17, 0x01FF)]
    return [*hellos, elliptic, finite, bytes(4) + elliptic, bytes(8) + finite]


TARGET = Target(
    "tls_hello",
    ("dicomgate.net.tls_hello",),
    _run,
    (TlsError,),
    _seeds,
    (b"\1\0", b"\0\x33", b"\0\0\0\0", b"\0\x33\0\x26\0\x24\1\4\0\x20" + bytes(32)),
)
