"""The `[[upstream]]` tables -> what is dialled, and the routes that lead there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..association.route import Route, Shown
from ..config.load import Configuration
from ..config.schema import PresentTable, Tables, UpstreamTable
from ..errors import ConfigError, Problem
from ..net.dial import Upstream
from ..net.tls_context import client_context
from ..rights.rule import Rule

_SLACK = 1.0  # seconds


def make_upstreams(configuration: Configuration, problems: list[Problem]) -> dict[str, Upstream]:
    """The configured upstreams by name. Problems with any of them are added to `problems`."""
    upstreams = {}
    for index, table in enumerate(configuration.tables.upstream):
        try:
            upstreams[table.name] = _upstream(table, configuration.folder)
        except ConfigError as error:
            problems += configuration.located(error, "upstream", index, "tls").problems
    return upstreams


def _upstream(table: UpstreamTable, folder: Path) -> Upstream:
    host, port = table.address
    tls = table.tls
    if tls is None:
        return Upstream(table.name, host, port)
    context = client_context(
        folder / tls.ca if tls.ca else None,
        tls.pin is not None,
        folder / tls.certificate if tls.certificate else None,
        folder / tls.key if tls.key else None,
    )
    return Upstream(table.name, host, port, context, tls.server_name, tls.pin)


def routes(tables: Tables) -> dict[str, Route]:
    """Where each called AE title leads."""
    answers_in = {table.title: 2 * table.timeout.total_seconds() + _SLACK for table in tables.credential}
    found: dict[str, Route] = {}
    for table in tables.upstream:
        route = Route(
            table.name,
            table.identity == "forward",
            table.timeout.total_seconds(),
            _shown(table, table, answers_in),
            tuple((_rule(present), _shown(present, table, answers_in)) for present in table.present),
            table.positive_response,
        )
        found |= dict.fromkeys(table.called_ae_titles, route)
    return found


def _shown(of: UpstreamTable | PresentTable, upstream: UpstreamTable, answers_in: Mapping[str, float]) -> Shown:
    """What a table says; what it does not say is as for the whole upstream."""
    credential = of.credential or upstream.credential or ""
    return Shown(
        credential,
        answers_in.get(credential, _SLACK),
        of.calling_ae_title or upstream.calling_ae_title or "",
        of.called_ae_title or upstream.called_ae_title or "",
    )


def _rule(present: PresentTable) -> Rule:
    """Whom it concerns."""
    return Rule(
        "",
        authenticators=_set(present.authenticators),
        users=_set(present.users),
        groups=_set(present.groups),
    )


def _set(texts: Sequence[str] | None) -> frozenset[str] | None:
    return None if texts is None else frozenset(texts)
