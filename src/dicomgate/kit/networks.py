"""Networks as an operator writes them, and the addresses of peers.

Rule: an IPv4-mapped IPv6 address (`::ffff:10.1.2.3`) counts as the IPv4 address.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import TypeAlias

IpAddress: TypeAlias = IPv4Address | IPv6Address
IpNetwork: TypeAlias = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 2.5.5.2
_LINK_LOCAL = IPv6Network("fe80::/10")  # RFC 4291 2.5.6


def read_network(text: str) -> IpNetwork:
    """A network, or the network of a single address. Raises ValueError, which says what is wrong with it."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone: such an address is valid on one link only, and identifies no device")
    network = _network(text)
    if isinstance(network, IPv6Network):
        if network.subnet_of(_MAPPED):
            raise ValueError(f"{text!r} is an IPv4 network: write it as one")
        if network.subnet_of(_LINK_LOCAL):
            raise ValueError(f"{text!r} is link-local: other devices have the same addresses on other links")
    return network


def _network(text: str) -> IpNetwork:
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        wider, address = ip_network(text, strict=False), text.partition("/")[0]
    except ValueError:
        raise ValueError(f"{text!r} is not a network: write it as 10.1.2.0/24, or one address as 10.1.2.7") from None
    raise ValueError(f"{text!r} is an address in a network: for the network write {wider}, for the address {address}")


@lru_cache(1_024)
def read_address(text: str) -> IpAddress:
    """The address of a peer, who comes again and again. Raises ValueError."""
    address = ip_address(text)
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def is_everywhere(networks: Sequence[IpNetwork]) -> bool:
    """True if together they cover all of IPv4 or all of IPv6."""
    four = collapse_addresses(one for one in networks if isinstance(one, IPv4Network))
    six = collapse_addresses(one for one in networks if isinstance(one, IPv6Network))
    return 0 in [one.prefixlen for one in four] + [one.prefixlen for one in six]
