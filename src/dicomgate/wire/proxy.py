"""The PROXY protocol, versions 1 and 2: whose connection a load balancer hands on.

Source: proxy-protocol.txt of HAProxy 2.6; the numbers in comments are its sections.

Rule 1: a header is there or it is not: nobody guesses. Who reads one here expects it, and anything else is an error.
Rule 2: it is read to its last byte and no further: TLS or DICOM follows at once.
Rule 3: a certificate counts as verified if it was shown (client & 6) over TLS (client & 1), was found good (verify is
        0), and has a name. HAProxy writes `verify` 0 also where no certificate was shown, and without TLS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import NamedTuple, TypeAlias

from ..errors import DicomgateError
from .foreign import foreign_protocol

LONGEST = 4_096
"""Bytes of a header that is read. Version 2 could have 65,551."""
_LONGEST_LINE = 107
_LONGEST_UNIQUE_ID = 128
_LINE_BEGINS = b"PROXY "
_PORT = rb" (0|[1-9][0-9]{0,4})"
_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP4 ([0-9.]+) ([0-9.]+)%b%b|TCP6 ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+)%b%b)\r\n"
    % (_PORT, _PORT, _PORT, _PORT)
)
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_HEAD = Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21  # version 2, and the command
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESSES = {_TCP4: Struct("!4s4sHH"), _TCP6: Struct("!16s16sHH")}
_TLV = Struct("!BH")
_CRC32C, _UNIQUE_ID, _SSL, _SSL_CN = 0x03, 0x05, 0x20, 0x22
_SSL_HEAD = Struct("!BL")
_CLIENT_SSL, _CLIENT_CERTIFICATE = 1, 2 | 4  # a certificate in this connection, or earlier in its TLS session
_MAPPED = bytes(10) + b"\xff\xff"

Endpoint: TypeAlias = tuple[str, int]
"""Address and port."""


class ProxyError(DicomgateError):
    """It is no header of the PROXY protocol, or one that must not be believed."""


class Announced(NamedTuple):
    """What a header says. `ends` are the client and what it connected to; None: the balancer speaks for itself.

    `tls`: the client came to it by TLS. `common_name` is that of the client's certificate, if the balancer has verified
    one. `unique_id` is what it calls the connection, in ASCII.
    """

    ends: tuple[Endpoint, Endpoint] | None = None
    unique_id: str = ""
    tls: bool = False
    common_name: str = ""


class Client(NamedTuple):
    """Whose connection the gateway hands on, what it connected to, and the association's id."""

    source: Endpoint
    destination: Endpoint
    association_id: str


def read_header(data: bytes) -> tuple[int, Announced | None]:
    """How many of a connection's first bytes belong to its header, and what that says; None while more is to come.

    Raises ProxyError as soon as it cannot become a header any more.
    """
    if data[: len(_LINE_BEGINS)] == _LINE_BEGINS[: len(data)]:
        return _read_line(data)
    if data[: len(_SIGNATURE)] == _SIGNATURE[: len(data)]:
        return _read_block(data)
    spoken = foreign_protocol(data) or "something else"
    raise ProxyError(f"no PROXY header, which this listener requires of this address: it speaks {spoken}")


def _read_line(data: bytes) -> tuple[int, Announced | None]:
    """Version 1: 2.1."""
    end = data.find(b"\n", 0, _LONGEST_LINE) + 1
    if not end:
        if len(data) >= _LONGEST_LINE:
            raise ProxyError(f"PROXY header, version 1: no CR LF within {_LONGEST_LINE} bytes")
        return len(data), None
    match = _LINE.fullmatch(data, 0, end)
    if match is None:
        raise ProxyError(f"PROXY header, version 1: not a line that it allows: {data[:end]!r}")
    parts = [part.decode() for part in match.groups() if part is not None]
    if not parts:
        return end, Announced()  # UNKNOWN: "as if there were no PROXY protocol header on the wire"
    kind = IPv6Address if match[1] is None else IPv4Address
    try:
        ends = _end(kind, parts[0], parts[2]), _end(kind, parts[1], parts[3])
    except ValueError as error:
        raise ProxyError(f"PROXY header, version 1: {error}") from error
    return end, Announced(ends)


def _end(kind: type[IPv4Address | IPv6Address], address: str, port: str) -> Endpoint:
    if int(port) > 65_535:
        raise ValueError(f"{port} is no port")
    return _plain(kind(address)), int(port)


def _read_block(data: bytes) -> tuple[int, Announced | None]:
    """Version 2: 2.2."""
    if len(data) < _HEAD.size:
        return len(data), None
    _, command, family, length = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if command not in (_LOCAL, _PROXY):
        raise ProxyError(f"PROXY header, version 2: version and command {command:#04x} are unknown")
    if end > LONGEST:
        raise ProxyError(f"PROXY header, version 2: {end} bytes long; at most {LONGEST} are read")
    if len(data) < end:
        return len(data), None
    # LOCAL: "must ... discard the protocol block including the family which is ignored".
    return end, Announced() if command == _LOCAL else _read_proxy(data[:end], family)


def _read_proxy(block: bytes, family: int) -> Announced:
    if family >> 4 > 3 or family & 15 > 2:
        raise ProxyError(f"PROXY header, version 2: address family and protocol {family:#04x} are unknown")
    layout = _ADDRESSES.get(family)
    if layout is None:
        return Announced()  # a receiver "falls back to the UNSPEC mode for the valid combinations" it does not support
    start = _HEAD.size + layout.size
    if len(block) < start:
        raise ProxyError("PROXY header, version 2: too short for its addresses")
    source, destination, port, other_port = layout.unpack_from(block, _HEAD.size)
    ends = (_shown(source), port), (_shown(destination), other_port)
    values = _values(block, start, (_CRC32C, _UNIQUE_ID, _SSL))
    if _CRC32C in values:
        _check_sum(block, *values[_CRC32C])
    unique_id = block[slice(*values.get(_UNIQUE_ID, (0, 0)))]
    if len(unique_id) > _LONGEST_UNIQUE_ID:
        raise ProxyError(f"PROXY header, version 2: a unique id of {len(unique_id)} bytes; 128 are allowed")
    announced = Announced(ends, unique_id.decode("ascii", "backslashreplace"))
    return _with_tls(announced, block[slice(*values[_SSL])]) if _SSL in values else announced


def _with_tls(announced: Announced, value: bytes) -> Announced:
    """What the balancer says of the client's TLS: 2.2.6."""
    if len(value) < _SSL_HEAD.size:
        raise ProxyError("PROXY header, version 2: too short for what it says of TLS")
    client, verify = _SSL_HEAD.unpack_from(value)
    names = _values(value, _SSL_HEAD.size, (_SSL_CN,))
    name, tls = "", bool(client & _CLIENT_SSL)
    if tls and client & _CLIENT_CERTIFICATE and not verify and _SSL_CN in names:
        try:
            name = value[slice(*names[_SSL_CN])].decode()
        except UnicodeDecodeError as error:
            raise ProxyError("PROXY header, version 2: the common name of the certificate is not UTF-8") from error
    return announced._replace(tls=tls, common_name=name)


def _values(data: bytes, start: int, wanted: tuple[int, ...]) -> dict[int, tuple[int, int]]:
    """Where the wanted values begin and end. Raises ProxyError if one is there twice, or leads beyond the end."""
    found: dict[int, tuple[int, int]] = {}
    for kind, begins, ends in _each_value(data, start):
        if kind in found:
            raise ProxyError(f"PROXY header, version 2: value {kind:#04x} is there twice")
        if kind in wanted:
            found[kind] = begins, ends
    return found


def _each_value(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    while at < len(data):
        if at + _TLV.size > len(data):
            raise ProxyError("PROXY header, version 2: a value is cut off")
        kind, length = _TLV.unpack_from(data, at)
        begins, at = at + _TLV.size, at + _TLV.size + length
        if at > len(data):
            raise ProxyError(f"PROXY header, version 2: value {kind:#04x} leads beyond its end")
        yield kind, begins, at


def _check_sum(block: bytes, start: int, end: int) -> None:
    if end - start != 4 or crc32c(block[:start] + bytes(4) + block[end:]) != int.from_bytes(block[start:end]):
        raise ProxyError("PROXY header, version 2: its CRC-32c is wrong")


def _shown(packed: bytes) -> str:
    # The library's object for an address would take ten times as long.
    if len(packed) == 16:
        return _plain(IPv6Address(packed))
    one, two, three, four = packed
    return f"{one}.{two}.{three}.{four}"


def _plain(address: IPv4Address | IPv6Address) -> str:
    """As a socket would show it: an IPv4 address that a balancer has seen on an IPv6 socket as the IPv4 address."""
    return str((isinstance(address, IPv6Address) and address.ipv4_mapped) or address)


def line(client: Client | None) -> bytes:
    """A header of version 1. None: the gateway speaks for itself, for example to see whether the PACS answers."""
    if client is None:
        return b"PROXY UNKNOWN\r\n"
    source, destination = _packed(client)
    family = "TCP4" if len(source) == 4 else "TCP6"
    ports = client.source[1], client.destination[1]
    return f"PROXY {family} {ip_address(source)} {ip_address(destination)} {ports[0]} {ports[1]}\r\n".encode()


def block(client: Client | None) -> bytes:
    """A header of version 2, as `line`; it has the association's id as UNIQUE_ID."""
    if client is None:
        return _HEAD.pack(_SIGNATURE, _LOCAL, 0, 0)
    source, destination = _packed(client)
    family = _TCP4 if len(source) == 4 else _TCP6
    addresses = _ADDRESSES[family].pack(source, destination, client.source[1], client.destination[1])
    unique_id = client.association_id.encode("ascii")
    content = addresses + _TLV.pack(_UNIQUE_ID, len(unique_id)) + unique_id
    return _HEAD.pack(_SIGNATURE, _PROXY, family, len(content)) + content


def _packed(client: Client) -> tuple[bytes, bytes]:
    """Both addresses, of the same length: if one of them is IPv6, the other is, too."""
    source, destination = ip_address(client.source[0]).packed, ip_address(client.destination[0]).packed
    if len(source) != len(destination):
        source, destination = (_MAPPED + one if len(one) == 4 else one for one in (source, destination))
    return source, destination


def crc32c(data: bytes) -> int:
    """CRC-32c (RFC 4960, Appendix B); 0.1 microseconds a byte."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _table() -> Iterator[int]:
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        yield value


_TABLE = tuple(_table())
