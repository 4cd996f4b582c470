"""`dicomgate check`: whether the gateway would start and, with `--connect`, whether all answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated

import typer

from ..config.load import Configuration
from ..config.schema import PresentTable, UpstreamTable
from ..errors import StartError
from ..kit.addresses import show_address
from ..kit.certificates import described, read_certificates
from ..rights.table import RuleTable
from ..run.assembly import Assembly, assemble
from ..run.control_socket import group_at
from ..run.doubts import shown_to
from ..run.page import Page
from ..run.policies import rules_in_words
from ..run.rehearsal import rehearsed
from .as_user import become
from .logs import configure
from .may import allowed
from .options import DEFAULT_CONFIG, ConfigOption
from .probing import asked


def check(
    config: ConfigOption = DEFAULT_CONFIG,
    connect: Annotated[
        bool, typer.Option("--connect", help="Also ask everything on the network that a login depends on.")
    ] = False,
    user: Annotated[
        str | None, typer.Option(help="As root: check as this user; default: dicomgate, if there is one.")
    ] = None,
) -> None:
    """Check the configuration: try all that a start would try, without listening.

    Exit status: 0 it is right, 2 it is wrong (with file, line and key),
    3 the machine prevents a start, or something cannot be reached.
    """
    if name := become(user):
        typer.echo(f"checked as user {name}")
    configure()
    assembly = assemble(config)
    asyncio.run(_check(assembly, connect))


async def _check(assembly: Assembly, connect: bool) -> None:
    # With --connect there is a line for each answer: what is logged on the way would say it twice.
    with _silence() if connect else nullcontext():
        async with rehearsed(assembly) as busy:
            for line in [*describe(assembly), *busy]:
                typer.echo(line)
            for warning in assembly.warnings:
                typer.echo(f"warning: {warning}", err=True)
            if connect:
                await _ask_all(assembly)


@contextmanager
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


async def _ask_all(assembly: Assembly) -> None:
    wrong = []
    for line in await asked(assembly):
        if line.problem:
            wrong.append(f"{line.what}: {line.problem}")
        else:
            typer.echo(f"{line.what}: {line.detail}")
    if wrong:
        raise StartError("\n".join(wrong))


def describe(assembly: Assembly) -> list[str]:
    """Listeners, authenticators, credentials and upstreams, one line each."""
    tables = assembly.configuration.tables
    lines = []
    for listener in tables.listener:
        where = ", ".join(show_address(*address) for address in listener.bind)
        snapshot = assembly.listeners[listener.bind[0]]
        names = " then ".join(link.name for link in snapshot.chain.links)
        tls = "TLS" if listener.tls else "no TLS"
        lines.append(
            f"listener {listener.name}: {where}, {tls}, identity {listener.identity}, asks {names}"
            + rules_in_words(snapshot.policy)
        )
        if listener.tls is not None:
            (own, *_) = read_certificates(assembly.configuration.folder / listener.tls.certificate)
            lines.append(f"listener {listener.name}: certificate {described(own)}")
    if assembly.page is not None:
        lines += _page(assembly, assembly.page)
    for authenticator in tables.authenticator:
        deadline = f"{authenticator.timeout.total_seconds():g} s"
        lines.append(f"authenticator {authenticator.title}: {authenticator.use}, has {deadline} for its answer")
    for credential in tables.credential:
        deadline = f"{credential.timeout.total_seconds():g} s"
        lines.append(f"credential {credential.title}: {credential.use}, has {deadline} for its answer")
    for upstream in tables.upstream:
        titles = ", ".join("any" if title == "*" else title for title in upstream.targets)
        tls = "TLS" if upstream.tls else "no TLS"
        where = ", ".join(show_address(*address) for address in upstream.every_address)
        lines.append(f"upstream {upstream.name}: {where}, {tls}, called AE title {titles}, {_login(upstream)}")
        lines += [
            f"upstream {upstream.name}: {', '.join(_changes(present))}; for {_conditions(present)}"
            for present in upstream.present
        ]
    return [*lines, *map(_described, tables.rule), *_control_socket(assembly.configuration)]


def _control_socket(configuration: Configuration) -> Iterator[str]:
    if configuration.tables.control is not None:
        path = configuration.folder / configuration.tables.control.path
        yield f"control: {path}, for root, the gateway's user and the group {group_at(path)}"


def _page(assembly: Assembly, page: Page) -> list[str]:
    """The listener of `[admin]`."""
    lines = [f"admin: {show_address(*page.bind)}, {'TLS' if page.tls else 'no TLS'}, health checks and metrics"]
    if page.chain is not None:
        names = " then ".join(link.name for link in page.chain.links)
        # Not by name, as below.
        lines.append(
            f"admin: status page, asks {names}; viewers: {len(page.viewers)}, operators: {len(page.operators)}"
        )
    tls = assembly.configuration.tables.admin and assembly.configuration.tables.admin.tls
    if tls:
        (own, *_) = read_certificates(assembly.configuration.folder / tls.certificate)
        lines.append(f"admin: certificate {described(own)}")
    return lines


def _login(upstream: UpstreamTable) -> str:
    """As whom the upstream sees those who go to it."""
    identity = "forwarded" if upstream.identity == "forward" else "stripped"
    response = [f"positive response {upstream.positive_response}"] if shown_to(upstream) else []
    return ", ".join([f"identity {identity}", *_changes(upstream), *response])


def _changes(shown: UpstreamTable | PresentTable) -> list[str]:
    named = (("credential", shown.credential), ("calling AE title becomes", shown.calling_ae_title),
             ("called AE title becomes", shown.called_ae_title))  # fmt: skip
    return [f"{what} {name}" for what, name in named if name is not None]


def _described(rule: RuleTable) -> str:
    return f"rule {rule.name}: {', '.join(allowed([rule]))}; for {_conditions(rule)}"


def _conditions(table: RuleTable | PresentTable) -> str:
    """Whom it is for."""
    others = {"name", "allow", "destinations", "users", "credential", "calling_ae_title", "called_ae_title"}
    conditions = table.model_dump(exclude=others, exclude_none=True)
    attributes = conditions.pop("attributes", {})
    wanted = [f"{key} {' or '.join(values)}" for key, values in {**conditions, **attributes}.items()]
    if table.users is not None:  # there may be many, and `doctor` shows this line to strangers
        wanted.append(f"{len(table.users)} users by name")
    return ", ".join(wanted) or "everybody"
