"""A client that sends any bytes; it uses none of the code under test."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from struct import pack, unpack_from
from typing import Self

from .peers.loopback import Address

VERIFICATION = b"1.2.840.10008.1.1"
_IMPLICIT = b"1.2.840.10008.1.2"
NO_RESPONSE, EMPTY_RESPONSE = b"", bytes.fromhex("59 00 0002 0000")  # sub-item 59H, PS3.7 table D.3-15

ADMITTED = b"\2"  # what `outcome` returns for any A-ASSOCIATE-AC
RELEASE_RQ = bytes.fromhex("05 00 00000004 00000000")
RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")
REFUSED_IDENTITY = bytes.fromhex("03 00 00000004 00 01 02 01")  # A-ASSOCIATE-RJ, PS3.8 table 9-21
LOCAL_LIMIT = bytes.fromhex("03 00 00000004 00 02 03 02")
TRY_LATER = bytes.fromhex("03 00 00000004 00 02 02 01")
CONGESTION = bytes.fromhex("03 00 00000004 00 02 03 01")
ABORT = bytes.fromhex("07 00 00000004 0000 02 00")  # A-ABORT, PS3.8 table 9-26


def item(kind: int, content: bytes) -> bytes:
    """Return an item or sub-item (PS3.8 9.3.2)."""
    return pack(">BBH", kind, 0, len(content)) + content


def login(username: str | bytes, passcode: bytes = b"", *, kind: int = 2, response: bool = False) -> bytes:
    """Return a sub-item 58H (PS3.7 table D.3-14). Types 3 to 5 have their token where type 2 has the username."""
    name = username.encode() if isinstance(username, str) else username
    fields = bytes((kind, response)) + pack(">H", len(name)) + name + pack(">H", len(passcode)) + passcode
    return item(0x58, fields)


def request(*sub_items: bytes, called: bytes = b"ANY-SCP", maximum_length: int = 16384) -> bytes:
    """Return an A-ASSOCIATE-RQ (PS3.8 9.3.2) for verification with these sub-items of 50H after 51H and 52H."""
    context = item(0x20, b"\1\0\0\0" + item(0x30, VERIFICATION) + item(0x40, _IMPLICIT))
    own = item(0x51, pack(">L", maximum_length)) + item(0x52, b"1.2.3.4.5")
    items = item(0x10, b"1.2.840.10008.3.1.1.1") + context + item(0x50, own + b"".join(sub_items))
    body = pack(">HH16s16s32x", 1, 0, called.ljust(16), b"RAW".ljust(16)) + items
    return pack(">BBL", 1, 0, len(body)) + body


def p_data(fragment: bytes, context: int = 1, control: int = 0) -> bytes:
    """Return a P-DATA-TF with one fragment: of a data set, not the last, unless `control` says so (PS3.8 E.2)."""
    return pack(">BBL", 4, 0, len(fragment) + 6) + pack(">LBB", len(fragment) + 2, context, control) + fragment


class RawClient:
    """A context manager: connected from its creation on, TLS included; closed afterwards. `source` is its address."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None = None, source: str = "") -> None:
        self.socket = socket.create_connection(address[:2], timeout=20, source_address=(source, 0))
        if tls is not None:
            try:
                self.socket = tls.wrap_socket(self.socket, server_hostname=address[0])
            except BaseException:
                self.socket.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(b"".join(data))

    def receive(self, length: int) -> bytes:
        """Return `length` bytes, fewer at the end of the stream."""
        received = b""
        while len(received) < length and (more := self.socket.recv(length - len(received))):
            received += more
        return received

    def pdu(self) -> bytes:
        """Return the next PDU, b"" at the end of the stream."""
        header = self.receive(6)
        return header + self.receive(unpack_from(">L", header, 2)[0]) if len(header) == 6 else header

    def ask(self, *data: bytes) -> bytes:
        """Send, and return the PDU that answers."""
        self.send(*data)
        return self.pdu()

    def release(self) -> bytes:
        """Ask for the release; return the answer."""
        return self.ask(RELEASE_RQ)


def log_in(address: Address, sub_items: Sequence[bytes], tls: ssl.SSLContext | None = None) -> bytes:
    """Associate, release if accepted, and return the answer to the A-ASSOCIATE-RQ."""
    with RawClient(address, tls) as client:
        answer = client.ask(request(*sub_items))
        if answer[:1] == ADMITTED:
            assert client.release() == RELEASE_RP
        return answer


def outcome(address: Address, *sub_items: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Associate, release if accepted, and return `ADMITTED`, or the PDU that refuses."""
    answer = log_in(address, sub_items, tls)
    return ADMITTED if answer[:1] == ADMITTED else answer
