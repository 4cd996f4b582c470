"""PROXY headers: what is written is read, byte by byte; each that must not be believed stands beside one that is."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomgate.wire.proxy import LONGEST, Announced, Client, ProxyError, block, crc32c, line, read_header

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
CT_1, GATE = ("192.0.2.17", 50000), ("192.0.2.1", 2762)
ADDRESSES = bytes((192, 0, 2, 17, 192, 0, 2, 1)) + pack("!HH", 50000, 2762)
KNOWN = Announced((CT_1, GATE))
OWN = Announced()  # the balancer speaks for itself


def tlv(kind: int, value: bytes, *, length: int | None = None) -> bytes:
    """A value of version 2; `length` where it must lie."""
    return pack("!BH", kind, len(value) if length is None else length) + value


def ssl(client: int, verify: int, *values: bytes) -> bytes:
    """What a balancer says of TLS."""
    return tlv(0x20, pack("!BL", client, verify) + b"".join(values))


def header(*values: bytes, command: int = 0x21, family: int = 0x11, addresses: bytes = ADDRESSES) -> bytes:
    """A header of version 2, by hand."""
    content = addresses + b"".join(values)
    return SIGNATURE + pack("!BBH", command, family, len(content)) + content


def summed(*values: bytes, wrong: int = 0) -> bytes:
    """One with a CRC-32c."""
    without = header(tlv(3, bytes(4)), *values)
    return without.replace(tlv(3, bytes(4)), tlv(3, pack("!L", crc32c(without) ^ wrong)))


CN = tlv(0x22, "Gerät 1".encode())
READ = {
    "v1": (b"PROXY TCP4 192.0.2.17 192.0.2.1 50000 2762\r\n", KNOWN),
    "v1, IPv6": (b"PROXY TCP6 2001:DB8::17 ::1 0 65535\r\n", Announced((("2001:db8::17", 0), ("::1", 65535)))),
    "v1, mapped": (b"PROXY TCP6 ::ffff:192.0.2.17 ::ffff:192.0.2.1 50000 2762\r\n", KNOWN),
    "v1, UNKNOWN": (b"PROXY UNKNOWN\r\n", OWN),
    "v1, UNKNOWN and more": (b"PROXY UNKNOWN 192.0.2.17 any thing\r\n", OWN),
    "v2": (header(), KNOWN),
    "v2, checked": (summed(tlv(5, b"1")), KNOWN._replace(unique_id="1")),
    "v2, opaque id": (header(tlv(5, b"\xff\n")), KNOWN._replace(unique_id="\\xff\n")),
    "v2, what nobody knows": (header(tlv(0xE0, b"x"), tlv(4, b""), tlv(4, b""), tlv(2, b"gate")), KNOWN),
    "LOCAL, and all of it discarded": (header(b"\3", command=0x20, family=0xFF), OWN),
    "UNSPEC": (header(family=0), OWN),
    "UNIX": (header(family=0x31, addresses=bytes(216)), OWN),
    "TLS": (header(ssl(1, 1)), KNOWN._replace(tls=True)),
    "TLS, a certificate": (header(ssl(3, 0, CN)), KNOWN._replace(tls=True, common_name="Gerät 1")),
    "TLS, of its session": (header(ssl(5, 0, CN)), KNOWN._replace(tls=True, common_name="Gerät 1")),
    "a certificate without TLS": (header(ssl(6, 0, CN)), KNOWN),
    "TLS, a bad certificate": (header(ssl(3, 1, CN)), KNOWN._replace(tls=True)),
    "TLS, no certificate, as HAProxy writes it": (header(ssl(1, 0, CN)), KNOWN._replace(tls=True)),
    "no TLS, as HAProxy writes it": (header(ssl(0, 0)), KNOWN),
    "TLS, a certificate without a name": (header(ssl(3, 0)), KNOWN._replace(tls=True)),
}


@pytest.mark.parametrize("case", READ)
def test_a_header_is_read_in_any_pieces_and_not_a_byte_beyond_it(case: str) -> None:
    data, announced = READ[case]
    assert read_header(data) == (len(data), announced)
    assert read_header(data + data) == (len(data), announced)
    assert {read_header(data[:end]) == (end, None) for end in range(len(data))} == {True}


REFUSED = {
    "DICOM": (b"\x01\x00\0\0", "it speaks DICOM without TLS"),
    "TLS": (b"\x16\x03\x01", "it speaks TLS"),
    "neither": (b"?", "it speaks something else"),
    "v1, no CR": (b"PROXY TCP4 192.0.2.17 192.0.2.1 50000 2762\n", "not a line"),
    "v1, CR alone": (b"PROXY UNKNOWN \r \r\n", "not a line"),
    "v1, too long": (b"PROXY UNKNOWN " + b"x" * 93, "within 107 bytes"),
    "v1, a zero in front": (b"PROXY TCP4 192.0.2.17 192.0.2.1 050000 2762\r\n", "not a line"),
    "v1, a zero in front of an address": (b"PROXY TCP4 192.0.2.017 192.0.2.1 50000 2762\r\n", "017"),
    "v1, a sign": (b"PROXY TCP4 192.0.2.17 192.0.2.1 +5 2762\r\n", "not a line"),
    "v1, two spaces": (b"PROXY TCP4  192.0.2.17 192.0.2.1 5 2762\r\n", "not a line"),
    "v1, port 65536": (b"PROXY TCP4 192.0.2.17 192.0.2.1 65536 2762\r\n", "65536 is no port"),
    "v1, IPv4 as IPv6": (b"PROXY TCP6 192.0.2.17 192.0.2.1 5 2762\r\n", "192.0.2.17"),
    "v1, UDP": (b"PROXY UDP4 192.0.2.17 192.0.2.1 5 2762\r\n", "not a line"),
    "v2, version 3": (header(command=0x31), "0x31 are unknown"),
    "v2, command 2": (header(command=0x22), "0x22 are unknown"),
    "v2, family 4": (header(family=0x41), "0x41 are unknown"),
    "v2, protocol 3": (header(family=0x13), "0x13 are unknown"),
    "v2, too short": (header(addresses=ADDRESSES[:-1]), "too short for its addresses"),
    "v2, cut off": (header(b"\5\0"), "cut off"),
    "v2, beyond its end": (header(tlv(5, b"12", length=3)), "beyond its end"),
    "v2, wrong sum": (summed(tlv(5, b"1"), wrong=1), "CRC-32c is wrong"),
    "v2, a sum of 3 bytes": (header(tlv(3, bytes(3))), "CRC-32c is wrong"),
    "v2, two ids": (header(tlv(5, b"1"), tlv(5, b"2")), "0x05 is there twice"),
    "v2, two certificates": (header(ssl(3, 0, CN, CN)), "0x22 is there twice"),
    "v2, long id": (header(tlv(5, bytes(129))), "129 bytes"),
    "v2, short TLS": (header(tlv(0x20, bytes(4))), "what it says of TLS"),
    "v2, a name in Latin-1": (header(ssl(3, 0, tlv(0x22, b"Ger\xe4t"))), "not UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_header_or_must_not_be_believed(case: str) -> None:
    data, why = REFUSED[case]
    with pytest.raises(ProxyError, match=why):
        read_header(data)


def test_the_longest_header_and_a_longer_one() -> None:
    room = LONGEST - len(header()) - 3
    assert read_header(header(tlv(4, bytes(room)))) == (LONGEST, KNOWN)
    with pytest.raises(ProxyError, match="4097 bytes long; at most 4096"):
        read_header(header(tlv(4, bytes(room + 1)))[:16])


def test_the_sum_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32/ISCSI, which RFC 4960 has
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720 B.4


ports = st.integers(0, 65_535)
of_v4 = st.tuples(st.ip_addresses(v=4).map(str), ports)
of_v6 = st.tuples(st.ip_addresses(v=6).map(str).filter(lambda one: not one.startswith("::ffff:")), ports)


@given(st.one_of(of_v4, of_v6), st.one_of(of_v4, of_v6), st.binary(max_size=9))
def test_what_is_written_is_read(source: tuple[str, int], destination: tuple[str, int], after: bytes) -> None:
    client = Client(source, destination, "0123456789ab")
    for made, unique_id in ((line(client), ""), (block(client), "0123456789ab")):
        assert read_header(made + after) == (len(made), Announced((source, destination), unique_id))


def test_who_speaks_for_himself() -> None:
    assert (line(None), block(None)) == (b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\0\0\0")
