"""Contradictions: what is wrong with a configuration although each key by itself is right."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator

from ..association.admission import ANY_AE_TITLE
from ..errors import Problem
from .schema import Tables, ThrottleTable

_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@|[?&](?:sentinel_)?password=")
"""In a URL (RFC 3986 3.2.1), or in the options of a Redis's."""


def contradictions(tables: Tables) -> Iterator[Problem]:
    """Every contradiction in these tables, with the keys that lead to it."""
    names = [table.title for table in tables.authenticator]
    yield from _duplicates("listener", [table.name for table in tables.listener])
    yield from _duplicates("upstream", [table.name for table in tables.upstream])
    yield from _duplicates("authenticator", names)
    yield from _of_throttle(tables.throttle)
    yield from _of_upstreams(tables)
    yield from _of_listeners(tables, names)


def open_secrets(tables: Tables, mode: int) -> Iterator[Problem]:
    """Every password in these tables, if the file with this mode may be read by everybody."""
    if not mode & stat.S_IROTH:
        return
    message = "holds a password, and everybody may read this file; chmod o-r"
    if _PASSWORD.search(tables.state.url or ""):
        yield Problem(("state", "url"), message)
    for index, table in enumerate(tables.authenticator):
        for key, value in table.options.items():
            if isinstance(value, str) and _PASSWORD.search(value):
                yield Problem(("authenticator", index, key), message)


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
        for title in upstream.called_ae_titles:
            if title in taken:
                what = "any other called AE title" if title == ANY_AE_TITLE else f"called AE title {title!r}"
                message = f"{what} already goes to upstream {taken[title]!r}: name it in one of the two"
                yield Problem(("upstream", index, "called_ae_titles"), message)
            taken.setdefault(title, upstream.name)
        tls = upstream.tls
        if tls is not None and tls.pin is not None and tls.ca is not None:
            yield Problem(("upstream", index, "tls", "ca"), "ca and pin exclude each other: remove one of them")
        if tls is not None and tls.key is not None and tls.certificate is None:
            yield Problem(("upstream", index, "tls", "key"), "a key without its certificate: name that as well")


def _of_listeners(tables: Tables, authenticators: list[str]) -> Iterator[Problem]:
    bound: dict[tuple[str, int], str] = {}
    for index, listener in enumerate(tables.listener):
        for address in listener.bind:
            if address in bound:
                message = f"listener {bound[address]!r} already has this address: choose another port"
                yield Problem(("listener", index, "bind"), message)
            bound.setdefault(address, listener.name)
        for name in listener.authenticators or ():
            if name not in authenticators:
                message = f"no authenticator is called {name!r}; there are: {', '.join(authenticators)}"
                yield Problem(("listener", index, "authenticators"), message)
        tls = listener.tls
        if tls is not None and tls.client_ca is None and "client_certificate" in tls.model_fields_set:
            message = "client certificates are verified against client_ca, which is missing: name it"
            yield Problem(("listener", index, "tls", "client_certificate"), message)
