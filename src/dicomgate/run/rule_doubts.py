"""Doubts about rules: which never match, which add nothing, and what was probably not meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar

from ..association.route import ANY_AE_TITLE
from ..config.schema import ListenerTable, Tables, UpstreamTable
from ..kit.networks import IpNetwork
from ..rights.rule import OWN, Rule, is_one_of
from ..rights.services import SERVICE_OF
from ..rights.table import RuleTable

_T = TypeVar("_T")

_STANDARD = "1.2.840.10008."  # the root of DICOM's own UIDs (PS3.5 annex A)
_TITLES = ("calling_ae_titles", "called_ae_titles")
_NAMES = ("listeners", "authenticators", "users", "groups", "upstreams")


def doubts_of_rules(tables: Tables, asked: Mapping[str, Set[str]]) -> Iterator[str]:
    """Each as one line that names its table. `asked` are the authenticators that each listener asks."""
    rules = [table.rule for table in tables.rule]
    dead = {rule.name: why for rule in rules if (why := _never_matches(rule, tables.upstream, asked))}
    living = [rule for rule in rules if rule.name not in dead]
    for listener in tables.listener:
        if doubt := _of_listener(listener, living, asked[listener.name], limited=bool(rules)):
            yield f"listener {listener.name}: {doubt}"
    for table, rule in zip(tables.rule, rules, strict=True):
        for doubt in (
            [dead[rule.name]] if rule.name in dead else [*_probably_not_meant(table), *_adds_nothing(rule, living)]
        ):
            yield f"rule {rule.name}: {doubt}"


def _of_listener(table: ListenerTable, rules: Sequence[Rule], asked: Set[str], *, limited: bool) -> str:
    if table.rules == "report":
        return 'rules = "report": what no rule allows is only recorded, and not refused'
    if limited and not any(rule.may_concern(table.name, asked) for rule in rules):
        return "nobody may do anything here: no rule can match"
    return ""


def _never_matches(rule: Rule, upstreams: Sequence[UpstreamTable], asked: Mapping[str, Set[str]]) -> str:
    if not any(rule.may_concern(listener, names) for listener, names in asked.items()):
        return "never matches: none of its listeners asks one of its authenticators"
    if rule.upstreams is not None and rule.called_ae_titles is not None:
        elsewhere = {title for one in upstreams if one.name not in rule.upstreams for title in one.targets}
        titles = {title for one in upstreams if one.name in rule.upstreams for title in one.targets}
        rest = ANY_AE_TITLE in titles and any("*" in one or one not in elsewhere for one in rule.called_ae_titles)
        if not rest and not any(is_one_of(title, rule.called_ae_titles) for title in titles - {ANY_AE_TITLE}):
            return "never matches: none of its called_ae_titles goes to its upstreams"
    return ""


def _probably_not_meant(table: RuleTable) -> Iterator[str]:
    destinations, calling = table.destinations or (), table.calling_ae_titles or [ANY_AE_TITLE]
    if OWN in destinations and any(not title.strip("*") for title in calling):
        yield (
            'destinations = "own" without calling_ae_titles: a client chooses its calling AE title itself, and with it '
            "where it may move to; name the AE titles that these clients have"
        )
    for title in destinations:
        if title.lower() == OWN != title:
            yield f"destinations: {title!r} is an AE title; the client's own is written {OWN!r}, in lower case"
    for key in ("users", "groups"):
        for name in getattr(table, key) or ():
            if "*" in name:
                yield f"{key}: {name!r} is taken letter by letter: only in AE titles * stands for other characters"
    for word in table.allow:
        if word.startswith(_STANDARD) and word.encode() not in SERVICE_OF:
            yield f"{word} is no SOP class of DICOM that is known here: it is taken for one of storage"


def _adds_nothing(rule: Rule, rules: Sequence[Rule]) -> Iterator[str]:
    earlier = True
    for other in rules:
        if other is rule:
            earlier = False
        elif _includes(other, rule) and (earlier or not _includes(rule, other)):
            yield f"adds nothing: rule {other.name} allows all of it to the same clients or more"
            return


def _includes(wide: Rule, narrow: Rule) -> bool:
    """Whether everybody for whom `narrow` is may do by `wide` all that `narrow` allows."""
    attributes = narrow.attributes or {}
    return (
        (wide.everything or not narrow.everything)
        and (
            wide.everything
            or (narrow.classes <= wide.classes and _within(narrow.destinations, wide.destinations, _is_reached))
        )
        and all(_within(getattr(narrow, key), getattr(wide, key), str.__eq__) for key in _NAMES)
        and all(_within(getattr(narrow, key), getattr(wide, key), _is_part) for key in _TITLES)
        and _within(narrow.networks, wide.networks, _is_subnet)
        and all(_within(attributes.get(name), values, str.__eq__) for name, values in (wide.attributes or {}).items())
    )


def _within(narrow: Iterable[_T] | None, wide: Iterable[_T] | None, fits: Callable[[_T, _T], bool]) -> bool:
    """Whether what one key of a rule asks for is asked for by another's, too; None asks for nothing."""
    return wide is None or (narrow is not None and all(any(fits(one, other) for other in wide) for one in narrow))


def _is_part(pattern: str, wide: str) -> bool:
    return is_one_of(pattern, (wide,))


def _is_subnet(network: IpNetwork, wide: IpNetwork) -> bool:
    if isinstance(network, IPv4Network) and isinstance(wide, IPv4Network):
        return network.subnet_of(wide)
    return isinstance(network, IPv6Network) and isinstance(wide, IPv6Network) and network.subnet_of(wide)


def _is_reached(destination: str, wide: str) -> bool:
    return wide in (destination, "*") or (destination != OWN and _is_part(destination, wide))
