"""A rule: whom it concerns, and what it grants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..kit.networks import IpNetwork, read_address

OWN = "own"
"""As `destinations`: the calling AE title of the association itself."""


class Who(NamedTuple):
    """What a rule may look at: who was admitted, by whom, from where, and to where."""

    listener: str
    authenticator: str
    user: str
    groups: frozenset[str]
    attributes: Mapping[str, str]
    address: str
    calling_ae_title: str
    called_ae_title: str
    upstream: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[rule]]`. A criterion that is None concerns everybody.

    `classes` are the SOP classes that it grants, `everything` is `"*"`. `destinations` are the AE titles that C-MOVE
    may name, with `*` for any characters; None for all of them; `(OWN,)` for the client's own.
    """

    name: str
    classes: frozenset[bytes] = frozenset()
    everything: bool = False
    destinations: tuple[str, ...] | None = None
    listeners: frozenset[str] | None = None
    authenticators: frozenset[str] | None = None
    users: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    networks: tuple[IpNetwork, ...] | None = None
    calling_ae_titles: tuple[str, ...] | None = None
    called_ae_titles: tuple[str, ...] | None = None
    upstreams: frozenset[str] | None = None

    def miss(self, who: Who) -> str:
        """The first key of the table that does not fit, for example "groups"; "" if the rule matches."""
        for key in ("listeners", "authenticators", "users", "upstreams"):
            names: frozenset[str] | None = getattr(self, key)
            if names is not None and getattr(who, key[:-1]) not in names:
                return key
        if self.groups is not None and self.groups.isdisjoint(who.groups):
            return "groups"
        for name, values in self.attributes.items():
            if who.attributes.get(name) not in values:
                return "attributes"
        if self.networks is not None and not _within(who.address, self.networks):
            return "networks"
        if self.calling_ae_titles is not None and not is_one_of(who.calling_ae_title, self.calling_ae_titles):
            return "calling_ae_titles"
        if self.called_ae_titles is not None and not is_one_of(who.called_ae_title, self.called_ae_titles):
            return "called_ae_titles"
        return ""


def is_one_of(title: str, patterns: tuple[str, ...]) -> bool:
    """Whether an AE title fits one of these, in which `*` stands for any characters."""
    return any(
        title == pattern or ("*" in pattern and re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), title))
        for pattern in patterns
    )


def _within(address: str, networks: tuple[IpNetwork, ...]) -> bool:
    try:
        found = read_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
