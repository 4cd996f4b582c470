"""A rule: who it is for, and what it allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ..kit.networks import IpAddress, IpNetwork, read_address

OWN = "own"
"""Among `destinations`: the calling AE title of the association itself."""


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
    may name, with `*` for any characters, and `OWN` for the client's own.
    """

    name: str
    classes: frozenset[bytes] = frozenset()
    everything: bool = False
    destinations: tuple[str, ...] = ()
    listeners: frozenset[str] | None = None
    authenticators: frozenset[str] | None = None
    users: frozenset[str] | None = None
    groups: frozenset[str] | None = None
    attributes: Mapping[str, frozenset[str]] | None = None
    networks: tuple[IpNetwork, ...] | None = None
    calling_ae_titles: tuple[str, ...] | None = None
    called_ae_titles: tuple[str, ...] | None = None
    upstreams: frozenset[str] | None = None

    def miss(self, who: Who) -> str:
        """The first key of the table that does not fit, for example "groups"; "" if the rule matches."""
        # Written out, and the slow ones last: each login asks every rule.
        if self.listeners is not None and who.listener not in self.listeners:
            return "listeners"
        if self.authenticators is not None and who.authenticator not in self.authenticators:
            return "authenticators"
        if self.users is not None and who.user not in self.users:
            return "users"
        if self.groups is not None and self.groups.isdisjoint(who.groups):
            return "groups"
        if self.upstreams is not None and who.upstream not in self.upstreams:
            return "upstreams"
        if self.attributes is not None and not all(
            who.attributes.get(name) in values for name, values in self.attributes.items()
        ):
            return "attributes"
        if self.calling_ae_titles is not None and not is_one_of(who.calling_ae_title, self.calling_ae_titles):
            return "calling_ae_titles"
        if self.called_ae_titles is not None and not is_one_of(who.called_ae_title, self.called_ae_titles):
            return "called_ae_titles"
        if self.networks is not None and not _within(who.address, self.networks):
            return "networks"
        return ""

    def may_concern(self, listener: str, authenticators: Set[str]) -> bool:
        """Whether it can match somebody who comes in by this listener, which asks these authenticators."""
        return (self.listeners is None or listener in self.listeners) and (
            self.authenticators is None or not self.authenticators.isdisjoint(authenticators)
        )


def criterion(names: Iterable[str] | None) -> frozenset[str] | None:
    """The names that a table lists, as a criterion of a rule; None concerns everybody."""
    return None if names is None else frozenset(names)


def is_one_of(title: str, patterns: tuple[str, ...]) -> bool:
    """Whether an AE title fits one of these, in which `*` stands for any characters. PS3.5 6.2: case counts."""
    return bool(patterns) and _compiled(patterns).fullmatch(title) is not None


@lru_cache(1024)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(pattern).replace(r"\*", ".*") for pattern in patterns), re.DOTALL)


def _within(address: str, networks: tuple[IpNetwork, ...]) -> bool:
    found = _address(address)
    if found is not None:
        for network in networks:
            if found in network:
                return True
    return False


@lru_cache(1024)
def _address(text: str) -> IpAddress | None:
    try:
        return read_address(text)
    except ValueError:
        return None
