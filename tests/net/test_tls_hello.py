"""A ClientHello is looked at before OpenSSL computes, in whatever pieces it comes. The server here is a real one."""

from __future__ import annotations

import socket
import ssl
from contextlib import nullcontext
from struct import pack

import pytest
import trustme

from dicomgate.net.tls import WANT_READ, WANT_TURN, TlsError
from dicomgate.net.tls_hello import Hello
from dicomgate.net.tls_stream import TlsStream


def hello(group: int, *, shared: bool = True) -> bytes:
    """The record of a ClientHello of TLS 1.3 that offers one group, and its share where that is not left out."""

    def extension(kind: int, body: bytes) -> bytes:
        return pack(">HH", kind, len(body)) + body

    key = {0x0104: bytes(1023) + b"\2", 0x001D: bytes(31) + b"\x09"}[group]
    share = pack(">HH", group, len(key)) + key if shared else b""
    extensions = b"".join(
        (
            extension(10, pack(">HH", 2, group)),
            extension(13, pack(">HHH", 4, 0x0403, 0x0804)),
            extension(43, b"\x02\x03\x04"),
            extension(51, pack(">H", len(share)) + share),
        )
    )
    body = b"\3\3" + bytes(32) + b"\0" + pack(">HH", 2, 0x1302) + b"\1\0" + pack(">H", len(extensions)) + extensions
    message = b"\1" + len(body).to_bytes(3) + body
    return pack(">BHH", 22, 0x0301, len(message)) + message


def piecemeal(record: bytes) -> bytes:
    return b"".join(pack(">BHH", 22, 0x0301, 1) + record[at : at + 1] for at in range(5, len(record)))


FFDHE8192, X25519 = hello(0x0104), hello(0x001D)
NOTHING = pack(">BHH", 22, 0x0301, 0)
ASKED_AGAIN = hello(0x0104, shared=False)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ((X25519,), None),
        ((piecemeal(X25519),), None),
        ((FFDHE8192,), "finite field"),
        ((piecemeal(FFDHE8192),), "finite field"),
        ((NOTHING + FFDHE8192,), "finite field"),
        ((ASKED_AGAIN,), None),
        ((ASKED_AGAIN, FFDHE8192), "finite field"),
        ((pack(">BHH", 22, 0x0301, 4) + b"\1\0\xff\xff",), "too long"),
        ((b"GET / HTTP/1.1\r\n\r\n",), "does not speak TLS on this port"),
    ],
)
def test_no_key_exchange_that_takes_long_to_compute(sent: tuple[bytes, ...], error: str | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        stream = TlsStream(context, ours)
        refused = None
        for data in sent:
            assert refused is None
            theirs.sendall(data)
            try:
                while (wanted := stream.handshake()) == WANT_TURN:
                    pass
                assert wanted == WANT_READ
                assert theirs.recv(65_536)[:1] == b"\x16", "the answer"
            except TlsError as failure:
                refused = str(failure)
        assert (refused is None) if error is None else (error in str(refused))


def server_hello(group: int) -> bytes:
    """The message of a ServerHello of TLS 1.3 that chooses a group."""
    body = b"\3\3" + bytes(33) + b"\x13\x02\0" + pack(">HHHH", 6, 51, 2, group)
    return b"\2" + len(body).to_bytes(3) + body


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 6])
@pytest.mark.parametrize(("group", "refused"), [(0x001D, False), (0x0104, True)])
def test_a_server_may_send_requests_first_but_hides_nothing_behind_one(cut: int, group: int, refused: bool) -> None:
    """OpenSSL puts a HelloRequest together from any records, passes over it, and reads on."""
    came = bytes(4) + server_hello(group)
    records = [pack(">BHH", 22, 0x0303, len(part)) + part for part in (came[:cut], came[cut:])]
    looked_at = Hello()
    assert looked_at.take(records[0]) == b""
    with pytest.raises(TlsError, match="finite field") if refused else nullcontext():
        assert looked_at.take(records[1]) == b"".join(records)


@pytest.mark.parametrize(("group", "refused"), [(0x001D, False), (0x0104, True)])
def test_a_mistake_behind_a_share_does_not_hide_it(group: int, refused: bool) -> None:
    message = server_hello(group) + b"\0"
    message = message[:1] + (len(message) - 4).to_bytes(3) + message[4:]
    record = pack(">BHH", 22, 0x0303, len(message)) + message
    with pytest.raises(TlsError, match="finite field") if refused else nullcontext():
        assert Hello().take(record) == record
