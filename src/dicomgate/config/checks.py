"""Contradictions: what is wrong with a configuration although each key by itself is right."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator, Sequence

from ..association.route import ANY_AE_TITLE
from ..auth.problems import Keys, nearest
from ..errors import Problem
from ..kit.addresses import show_address
from ..rights.rule import is_one_of
from ..rights.table import RuleTable
from .audit import audit_contradictions
from .operation import AdminTable
from .schema import PresentTable, Tables, ThrottleTable, UpstreamTable

_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@|[?&](?:sentinel_)?password=")
"""In a URL (RFC 3986 3.2.1), or in the options of a Redis's."""

_OF_CHECKS = ("check_interval", "check_calling_ae_title", "rise")
_OF_A_POOL = ("balance", "connect_timeout", "check", *_OF_CHECKS, "fall", "refresh")
_ALONE = (
    "several gateways can count together only in a Redis: name it as url in [state] (docs: Throttling), or set "
    'per_user_scope = "node"'
)


def contradictions(tables: Tables) -> Iterator[Problem]:
    """Every contradiction in these tables, with the keys that lead to it."""
    names = [table.title for table in tables.authenticator]
    yield from _duplicates("listener", [table.name for table in tables.listener])
    yield from _duplicates("upstream", [table.name for table in tables.upstream])
    yield from _duplicates("authenticator", names)
    yield from _duplicates("credential", [table.title for table in tables.credential])
    yield from _of_throttle(tables.throttle)
    if tables.limits.per_user_scope == "cluster" and tables.state.url is None:
        yield Problem(("limits", "per_user_scope"), _ALONE)
    yield from _of_upstreams(tables)
    yield from _duplicates("rule", [table.name for table in tables.rule])
    yield from _of_listeners(tables, names)
    yield from _of_rules(tables, names)
    yield from _of_admin(tables.admin, names)
    yield from audit_contradictions(tables.gateway.audit, tables.gateway.audit_required, tables.audit)


def open_secrets(tables: Tables, mode: int) -> Iterator[Problem]:
    """Every password in these tables, if the file with this mode may be read by everybody."""
    if not mode & stat.S_IROTH:
        return
    message = "holds a password, and everybody may read this file; chmod o-r"
    if _PASSWORD.search(tables.state.url or ""):
        yield Problem(("state", "url"), message)
    for name, plugins in (("authenticator", tables.authenticator), ("credential", tables.credential)):
        for index, table in enumerate(plugins):
            for key, value in table.options.items():
                if isinstance(value, str) and _PASSWORD.search(value):
                    yield Problem((name, index, key), message)


def _duplicates(table: str, names: list[str]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem((table, index, "name"), f"a second {table} is called {name!r}: give each a name of its own")


def _of_throttle(throttle: ThrottleTable) -> Iterator[Problem]:
    if throttle.longest_wait < throttle.first_wait:
        yield Problem(("throttle", "longest_wait"), "is shorter than first_wait: make it longer")
    if throttle.free > throttle.most:
        message = f"is more than most, {throttle.most}, after which the account is locked: make it smaller"
        yield Problem(("throttle", "free"), message)


def _of_upstreams(tables: Tables) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for index, upstream in enumerate(tables.upstream):
        devices = isinstance(upstream.addresses, dict)
        if devices and ANY_AE_TITLE in upstream.targets:
            message = '"*" is no device: name each, or use address and called_ae_titles'
            yield Problem(("upstream", index, "addresses"), message)
        yield from _of_pool(upstream, index)
        for title in upstream.called_ae_titles or upstream.targets:
            if title in taken:
                what = "any other called AE title" if title == ANY_AE_TITLE else f"called AE title {title!r}"
                message = f"{what} already goes to upstream {taken[title]!r}: name it in one of the two"
                yield Problem(("upstream", index, "addresses" if devices else "called_ae_titles"), message)
            taken.setdefault(title, upstream.name)
        yield from _of_login(upstream, index, tables)
        tls = upstream.tls
        if tls is not None and tls.pin is not None and tls.ca is not None:
            yield Problem(("upstream", index, "tls", "ca"), "ca and pin exclude each other: remove one of them")
        if tls is not None and tls.key is not None and tls.certificate is None:
            yield Problem(("upstream", index, "tls", "key"), "a key without its certificate: name that as well")


def _of_pool(upstream: UpstreamTable, index: int) -> Iterator[Problem]:
    at = ("upstream", index)
    if upstream.pool is None:
        for key in _OF_A_POOL:
            if key in upstream.model_fields_set:
                message = 'is for a PACS with several addresses: write them as a list, addresses = ["host:port"]'
                yield Problem((*at, key), message)
    elif twice := [one for number, one in enumerate(upstream.pool) if one in upstream.pool[:number]]:
        yield Problem((*at, "addresses"), f"{show_address(*twice[0])} is there twice: remove one of them")
    elif upstream.check == "none":
        for key in filter(upstream.model_fields_set.__contains__, _OF_CHECKS):
            yield Problem((*at, key), 'is for checks, and there are none: add check = "echo", or remove this')


def _of_login(upstream: UpstreamTable, index: int, tables: Tables) -> Iterator[Problem]:
    """As whom the upstream sees those who go to it."""
    at = ("upstream", index)
    credentials = [table.title for table in tables.credential]
    shown: list[tuple[Keys, UpstreamTable | PresentTable]] = [(at, upstream)]
    for number, present in enumerate(upstream.present):
        where = (*at, "present", number)
        shown.append((where, present))
        yield from _of_names(where, present, [table.title for table in tables.authenticator])
        if present.credential is present.calling_ae_title is present.called_ae_title is None:
            yield Problem(where, "says nothing about what the upstream sees: add credential or an AE title")
        if present.authenticators is present.users is present.groups is None:
            yield Problem(where, "is for everybody: write its keys into the upstream itself")
    for place, table in shown:
        for key in ("calling_ae_title", "called_ae_title"):
            if getattr(table, key) == ANY_AE_TITLE:
                yield Problem(
                    (*place, key), '"*" would be what the upstream sees: write the AE title that it is to see'
                )
        if table.credential is not None:
            yield from _unknown(place, "credential", [table.credential], credentials)
            if upstream.identity == "forward":
                message = 'the upstream sees one identity: remove credential, or identity = "forward"'
                yield Problem((*place, "credential"), message)
    if "positive_response" in upstream.model_fields_set and not any(table.credential for _, table in shown):
        yield Problem((*at, "positive_response"), "is the response to a credential, which is missing: name it")


def _of_names(at: Keys, table: PresentTable | RuleTable, authenticators: Sequence[str]) -> Iterator[Problem]:
    """Whose names a table means."""
    yield from _unknown(at, "authenticators", table.authenticators, authenticators)
    for key in ("users", "groups", "attributes"):
        if getattr(table, key, None) is not None and table.authenticators is None and len(authenticators) > 1:
            message = f"whose {key}? name their authenticators beside them; there are: {', '.join(authenticators)}"
            yield Problem((*at, key), message)


def _of_listeners(tables: Tables, authenticators: list[str]) -> Iterator[Problem]:
    bound: dict[tuple[str, int], str] = {}
    for index, listener in enumerate(tables.listener):
        for address in listener.bind:
            if address in bound:
                message = f"listener {bound[address]!r} already has this address: choose another port"
                yield Problem(("listener", index, "bind"), message)
            bound.setdefault(address, listener.name)
        yield from _unknown(("listener", index), "authenticators", listener.authenticators, authenticators)
        if listener.rules == "enforce" and not tables.rule:
            message = 'there is no [[rule]], so nobody could do anything: write one, or rules = "report" to only record'
            yield Problem(("listener", index, "rules"), message)
        tls = listener.tls
        if tls is not None and tls.client_ca is None and "client_certificate" in tls.model_fields_set:
            message = "client certificates are verified against client_ca, which is missing: name it"
            yield Problem(("listener", index, "tls", "client_certificate"), message)


def _unknown(table: Keys, key: str, names: Iterable[str] | None, known: Sequence[str]) -> Iterator[Problem]:
    """A key that names tables which do not exist; it is the plural of what they are."""
    for name in names or ():
        if name not in known:
            what = f"no {key.removesuffix('s')} is called {name!r}{nearest(name, known)}"
            yield Problem((*table, key), f"{what}; there are: {', '.join(known) or 'none'}")


def _of_rules(tables: Tables, authenticators: Sequence[str]) -> Iterator[Problem]:
    # None in the file of a program that embeds dicomgate: any called AE title may be its own.
    titles = [title for upstream in tables.upstream for title in upstream.targets]
    for index, rule in enumerate(tables.rule):
        at = ("rule", index)
        yield from _unknown(at, "listeners", rule.listeners, [listener.name for listener in tables.listener])
        yield from _of_names(at, rule, authenticators)
        yield from _unknown(at, "upstreams", rule.upstreams, [upstream.name for upstream in tables.upstream])
        for pattern in rule.called_ae_titles or ():
            if titles and ANY_AE_TITLE not in titles and not any(is_one_of(title, (pattern,)) for title in titles):
                message = f"no upstream takes the called AE title {pattern!r}; they take: {', '.join(titles)}"
                yield Problem((*at, "called_ae_titles"), message)


def _of_admin(admin: AdminTable | None, authenticators: Sequence[str]) -> Iterator[Problem]:
    """Who may log in to the page, and by whose word."""
    if admin is None:
        return
    yield from _unknown(("admin",), "authenticators", admin.authenticators, authenticators)
    asked = admin.authenticators or authenticators
    for key, names in (("viewers", admin.viewers), ("operators", admin.operators)):
        users = [name.removeprefix("user:").partition("/")[0] for name in names if name.startswith("user:")]
        for name in dict.fromkeys(users):
            if name not in asked:
                message = f"authenticator {name!r} is not asked{nearest(name, asked)}; asked are: {', '.join(asked)}"
                yield Problem(("admin", key), message)
        if len(users) < len(names) and admin.authenticators is None and len(authenticators) > 1:
            message = f"whose groups? name their authenticators beside them; there are: {', '.join(authenticators)}"
            yield Problem(("admin", key), message)
    if admin.authenticators is not None and not admin.viewers and not admin.operators:
        yield Problem(("admin", "authenticators"), "nobody may see the page: name viewers or operators")
