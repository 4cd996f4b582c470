"""Addresses are read as they are shown, and nothing else is one."""

from __future__ import annotations

import pytest

from dicomgate.kit.addresses import parse_address, show_address, source_of


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:11112", "127.0.0.1", 11112),
        ("pacs.hospital.example:104", "pacs.hospital.example", 104),
        ("[::1]:0", "::1", 0),
        ("[fe80::1%2]:65535", "fe80::1%2", 65535),
    ],
)
def test_an_address_is_read_and_shown_alike(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)
    assert show_address(host, port) == text


@pytest.mark.parametrize(
    "text", ["", "11112", ":11112", "host", "host:", "host:65536", "::1:11112", "[::1]", "a b:1", "host:1x", 104, None]
)
def test_anything_else_is_none(text: object) -> None:
    with pytest.raises(
        ValueError, match=r'an address is "host:port"|65536 is not a port: a port is a number from 1 to'
    ):
        parse_address(text)


@pytest.mark.parametrize("text", ["host", "[::1]", "10.0.0.7", "host:1645", "[::1]:0"])
def test_with_a_default_the_port_may_be_left_out(text: str) -> None:
    host, port = parse_address(text, 1812)
    assert show_address(host, port) == (text if text.endswith((":1645", ":0")) else f"{text}:1812")


@pytest.mark.parametrize(
    "text", ["", "host:", "::1", "host:65536", "host:x", "user@host", "radius://host", "a b", "x\n"]
)
def test_anything_else_is_none_with_a_default_either(text: str) -> None:
    with pytest.raises(ValueError, match=r'an address is "host" or "host:port"|65536 is not a port'):
        parse_address(text, 1812)


def test_a_host_that_no_resolver_takes() -> None:
    with pytest.raises(ValueError, match=r"'a\.\.b' is not a host name"):
        parse_address("a..b:104")


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3%eth0", "10.1.2.3"),
        ("2001:db8::1", "2001:db8::/64"),
        ("::1", "::/64"),
    ],
)
def test_whom_an_address_stands_for(address: str, source: str) -> None:
    assert source_of(address) == source
