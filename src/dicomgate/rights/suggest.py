"""From what was done to rules that let it through: the core of `dicomgate rules suggest`.

Rule 1: every use that was seen is granted.
Rule 2: nobody is granted what nobody of the same group, the same user or the same device did.
Rule 3: no group, user or device of a rule, and no service, can be taken away without breaking rule 1.

People are granted by group, as a person would: each service to the group with the most users of it, less those of its
members who never used it, until all who used it are in one. So what everybody does goes to the group of everybody, and
what radiologists do to theirs. Where few members of a group used a service, the suggestion says so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .rule import OWN
from .services import SERVICES
from .work import ANY, Client, Done, Use

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 56  # of 64: a number may follow
_ORDER = {word: number for number, word in enumerate(SERVICES)}
_KEYS = ("groups", "users", "calling_ae_titles")

_People = Mapping[str, set[Client]]


class _Row(NamedTuple):
    """One rule. `key` is the key of the table that has the `names`; `titles` are calling AE titles beside it."""

    key: str
    authenticators: frozenset[str]
    names: frozenset[str]
    networks: frozenset[str]
    upstreams: frozenset[str]
    titles: frozenset[str]
    allow: frozenset[str]
    destinations: frozenset[str]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One rule, and what a person should know of it.

    `key` is "groups", "users" or "calling_ae_titles", and has the `names`; `titles` are calling AE titles beside groups
    or users. What is empty is not a criterion. `clients` are users or devices. `rarely` are the services that less than
    half of them used, with their number, and `unused` those that were accepted, and that none of them used.
    """

    name: str
    key: str
    names: tuple[str, ...]
    authenticators: tuple[str, ...]
    networks: tuple[str, ...]
    upstreams: tuple[str, ...]
    titles: tuple[str, ...]
    allow: tuple[str, ...]
    destinations: tuple[str, ...]
    clients: int
    associations: int
    unobserved: int
    rarely: Mapping[str, int]
    unused: tuple[str, ...]


def suggested(work: Mapping[Client, Done]) -> list[Suggestion]:
    """The rules that let exactly this work through. The same work gives the same rules in the same order."""
    rows = list(_rows(work))
    for column in ("upstreams", "networks", "names", "authenticators"):
        rows = _merged(rows, column)
    if len({client.upstream for client in work}) == 1:
        rows = [row._replace(upstreams=frozenset()) for row in rows]
    rows.sort(key=lambda row: (_KEYS.index(row.key), *(sorted(part) for part in row[1:])))
    taken: set[str] = set()
    return [_suggestion(row, work, taken) for row in rows]


def _rows(work: Mapping[Client, Done]) -> Iterator[_Row]:
    """A row for each group, user or device with each of its upstreams."""
    found: dict[tuple[str, str, str, str, str], set[Use]] = defaultdict(set)
    people: dict[str, dict[str, set[Client]]] = defaultdict(lambda: defaultdict(set))
    users_of: dict[tuple[str, str, str], set[Client]] = defaultdict(set)
    for client, done in work.items():
        if not client.groups:
            key, name = ("users", client.user) if client.user else ("calling_ae_titles", client.calling_ae_title)
            found[key, client.authenticator, name, client.network, client.upstream] |= done.used
        for group in client.groups:
            people[client.authenticator][group].add(client._replace(upstream=""))
        for use in done.used if client.groups else ():
            users_of[client.authenticator, client.upstream, use.service].add(client)
    for (authenticator, upstream, service), users in users_of.items():
        for group, members in _chosen({user._replace(upstream="") for user in users}, people[authenticator]):
            for member in members:
                uses = work[member._replace(upstream=upstream)].used
                found["groups", authenticator, group, "", upstream] |= {use for use in uses if use.service == service}
    for (key, authenticator, name, network, upstream), uses in found.items():
        whom = frozenset({authenticator}), frozenset({name}), frozenset({network} - {""}), frozenset({upstream})
        for titles, allow, destinations in _grants(uses, named=key == "calling_ae_titles"):
            yield _Row(key, *whom, titles, allow, destinations)


def _chosen(users: set[Client], people: _People) -> Iterator[tuple[str, set[Client]]]:
    """The groups that get a service, each with those of its users who are in none before it."""
    chosen: list[str] = []
    left = set(users)
    while left:
        *_, group = min(
            (len(members - users) - len(members & left), len(members), group)
            for group, members in people.items()
            if members & left
        )
        chosen.append(group)
        left -= people[group]
    for group in list(chosen):
        others = set().union(*(people[other] for other in chosen if other != group))
        if users & people[group] <= others:
            chosen.remove(group)
    left = set(users)
    for group in chosen:
        yield group, people[group] & left
        left -= people[group]


def _grants(uses: set[Use], *, named: bool) -> Iterator[tuple[frozenset[str], frozenset[str], frozenset[str]]]:
    """Calling AE titles, services and destinations: as one rule, or as several where these differ.

    A client chooses its calling AE title, and with "own" where to move. So beside "own" are the titles that were seen,
    unless the rule is for these alone (`named`).
    """
    none: frozenset[str] = frozenset()
    allow: dict[tuple[frozenset[str], frozenset[str]], set[str]] = defaultdict(set)
    for service in {use.service for use in uses}:
        moves = [use for use in uses if use.service == service and use.destination]
        others = frozenset(use.destination for use in moves if not use.own)
        own = frozenset(use.destination for use in moves if use.own) - others
        if own and ANY not in others:
            allow[none if named else own, frozenset({OWN}) | (others if named else none)].add(service)
        if not own or (others and not named) or ANY in others:
            allow[none, others].add(service)
    plain = allow.pop((none, none), set())
    with_plain = min((key for key in allow if not key[0]), key=lambda key: sorted(key[1]), default=(none, none))
    allow[with_plain] |= plain
    yield from ((titles, frozenset(services), where) for (titles, where), services in allow.items() if services)


def _merged(rows: Iterable[_Row], column: str) -> list[_Row]:
    """Rows that differ in this column alone, as one."""
    found: dict[_Row, frozenset[str]] = defaultdict(frozenset)
    for row in rows:
        found[_with(row, column, frozenset())] |= getattr(row, column)
    return [_with(row, column, values) for row, values in found.items()]


def _with(row: _Row, column: str, values: frozenset[str]) -> _Row:
    changed: dict[str, Any] = {column: values}
    return row._replace(**changed)


def _suggestion(row: _Row, work: Mapping[Client, Done], taken: set[str]) -> Suggestion:
    concerned = {client: done for client, done in work.items() if _concerns(row, client)}
    names = {client: (client.authenticator, client.user or client.calling_ae_title) for client in concerned}
    used: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for client, done in concerned.items():
        for use in done.used:
            used[use.service].add(names[client])
    clients = len(set(names.values()))
    unused = {word for done in concerned.values() for word in done.accepted} - set(used)
    if "get" in used:
        unused.discard("store")  # it receives
    return Suggestion(
        name=_name(f"{min(row.names)}{'-own' if row.titles else ''}", taken),
        key=row.key,
        names=tuple(sorted(row.names)),
        authenticators=tuple(sorted(row.authenticators)),
        networks=tuple(sorted(row.networks)),
        upstreams=tuple(sorted(row.upstreams)),
        titles=tuple(sorted(row.titles)),
        allow=_in_order(row.allow),
        destinations=tuple(sorted(row.destinations)),
        clients=clients,
        associations=sum(done.associations for done in concerned.values()),
        unobserved=sum(done.unobserved for done in concerned.values()),
        rarely={word: len(used[word]) for word in _in_order(row.allow) if 2 * len(used[word]) < clients},
        unused=() if row.titles else _in_order(unused),  # the rule without them says it
    )


def _concerns(row: _Row, client: Client) -> bool:
    if client.authenticator not in row.authenticators or (row.upstreams and client.upstream not in row.upstreams):
        return False
    if client.groups:
        return row.key == "groups" and not row.names.isdisjoint(client.groups)
    if client.user:
        return row.key == "users" and client.user in row.names
    return client.calling_ae_title in row.names and client.network in row.networks


def _in_order(services: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(services, key=lambda word: (_ORDER.get(word, len(_ORDER)), word)))


def _name(of: str, taken: set[str]) -> str:
    """A name that no rule has yet, made of the first of those that it concerns."""
    base = _NOT_IN_A_NAME.sub("-", of)[:_LONGEST_NAME].strip("-") or "rule"
    name = next(one for number in range(1, 10_000) if (one := base if number == 1 else f"{base}-{number}") not in taken)
    taken.add(name)
    return name
