"""The `[[upstream]]` tables -> what is dialled, and the routes that lead there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..association.route import ANY_AE_TITLE, Route, Shown
from ..config.load import Configuration
from ..config.schema import PresentTable, Tables, UpstreamTable
from ..errors import ConfigError, Problem
from ..kit.addresses import show_address
from ..net.checking import Titles
from ..net.dial import Upstream
from ..net.pool import Conduct
from ..net.pooled import Looks, PooledUpstream
from ..net.tls_context import client_context
from ..rights.rule import Rule, criterion
from ..wire import proxy as headers

_SLACK = 1.0  # seconds
_CALLING, _CALLED = "DICOMGATE", "ANY-SCP"
_HEADERS = {"none": None, "v1": headers.line, "v2": headers.block}


def make_upstreams(configuration: Configuration, problems: list[Problem]) -> dict[str, Upstream | PooledUpstream]:
    """The configured upstreams by name. Problems with any of them are added to `problems`."""
    upstreams: dict[str, Upstream | PooledUpstream] = {}
    for index, table in enumerate(configuration.tables.upstream):
        try:
            upstreams |= _upstreams(table, configuration.folder)
        except ConfigError as error:
            problems += configuration.located(error, "upstream", index, "tls").problems
    return upstreams


def dialled(table: UpstreamTable) -> dict[str, list[str]]:
    """The names of what is dialled for an upstream, each with the called AE titles that lead there."""
    if isinstance(table.addresses, dict):
        return {f"{table.name} {title}": [title] for title in table.addresses}
    return {table.name: list(table.targets)}


def _upstreams(table: UpstreamTable, folder: Path) -> dict[str, Upstream | PooledUpstream]:
    tls, context = table.tls, None
    proxy = _HEADERS[table.proxy_protocol]
    of_tls: tuple[str | None, str | None] = None, None
    if tls is not None:
        context = client_context(
            folder / tls.ca if tls.ca else None,
            tls.pin is not None,
            folder / tls.certificate if tls.certificate else None,
            folder / tls.key if tls.key else None,
        )
        of_tls = tls.server_name, tls.pin
    if table.pool is None:
        return {
            name: Upstream(name, *table.targets[titles[0]][0], context, *of_tls, proxy=proxy)
            for name, titles in dialled(table).items()
        }
    addresses = {show_address(*one): Upstream(table.name, *one, context, *of_tls, proxy=proxy) for one in table.pool}
    checked, interval = table.check != "none", table.check_interval.total_seconds()
    conduct = Conduct(table.balance, table.fall, interval if checked else 1.0, checked, table.rise)
    looks = Looks(checked, _titles(table), interval, table.refresh.total_seconds())
    seconds = table.timeout.total_seconds(), table.connect_timeout.total_seconds()
    return {table.name: PooledUpstream(table.name, addresses, conduct, *seconds, looks)}


def _titles(table: UpstreamTable) -> Titles | None:
    """With which AE titles its addresses are checked by a C-ECHO; None without one."""
    if table.check != "echo":
        return None
    known = (title for title in table.called_ae_titles or () if title != ANY_AE_TITLE)
    calling = table.check_calling_ae_title or table.calling_ae_title or _CALLING
    return Titles(calling, table.called_ae_title or next(known, _CALLED))


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
            pool=table.pool is not None,
        )
        for name, titles in dialled(table).items():
            found |= dict.fromkeys(titles, replace(route, dialled=name))
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
    """The condition under which it counts."""
    return Rule(
        "",
        authenticators=criterion(present.authenticators),
        users=criterion(present.users),
        groups=criterion(present.groups),
    )
