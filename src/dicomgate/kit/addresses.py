"""Addresses as an operator writes them: `pacs.hospital:104`, `[::1]:11112`; and the source of one."""

from __future__ import annotations

import re
import socket

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]\s/@?#]+))(?::([0-9]{1,9}))?")

_LAST_PORT = 65_535


def parse_address(text: object, default_port: int | None = None) -> tuple[str, int]:
    """Host and port from their text; the port may be left out if there is a default for it.

    Raises ValueError, with the accepted form in the message, for anything else.
    """
    match = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    port = int(match[3]) if match and match[3] else default_port
    if port is not None and port > _LAST_PORT:
        raise ValueError(f"{port} is not a port: a port is a number from 1 to {_LAST_PORT}")
    if match is None or port is None:
        form = '"host:port"' if default_port is None else '"host" or "host:port"'
        raise ValueError(f'an address is {form}, with IPv6 in brackets: "[::1]:{default_port or 11112}"')
    host = match[1] or match[2]
    try:
        host.encode("idna")  # as the resolver will do, too late for an error in the configuration
    except UnicodeError:
        raise ValueError(f"{host!r} is not a host name") from None
    return host, port


def show_address(host: str, port: int) -> str:
    """The text of host and port, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_MAPPED = bytes(10) + b"\xff\xff"
"""RFC 4291 2.5.5.2: how an IPv6 socket shows the address of an IPv4 client."""


def source_of(address: str) -> str:
    """The source that connections and attempts from this address are counted for.

    An IPv4 address is its own source. For an IPv6 address, with or without a zone, it is the /64 network, in which the
    owner can choose any address.
    """
    if ":" not in address:
        return address
    packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8)) + "/64"
