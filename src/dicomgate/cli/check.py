"""`dicomgate check`: the configuration and, with `--connect`, the upstreams."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

import typer

from ..errors import StartError
from ..kit.addresses import show_address
from ..net.dial import Upstream
from ..run.assembly import Assembly, assemble
from .logs import configure
from .options import DEFAULT_CONFIG, ConfigOption


def check(
    config: ConfigOption = DEFAULT_CONFIG,
    connect: Annotated[bool, typer.Option("--connect", help="Also connect to each upstream, with its TLS.")] = False,
) -> None:
    """Check the configuration and everything that it names, without listening.

    Exit status: 0 it is right, 2 it is wrong (with file, line and key),
    3 an upstream cannot be reached.
    """
    configure()
    assembly = assemble(config)
    for line in describe(assembly):
        typer.echo(line)
    for warning in assembly.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if connect:
        # What is logged on the way is in our own line.
        logging.getLogger("dicomgate.upstream").setLevel(logging.CRITICAL)
        asyncio.run(_connect_all(assembly))


def describe(assembly: Assembly) -> list[str]:
    """Listeners, authenticators and upstreams, one line each."""
    tables = assembly.configuration.tables
    lines = []
    for listener in tables.listener:
        where = ", ".join(show_address(*address) for address in listener.bind)
        snapshot = assembly.listeners[listener.bind[0]]
        names = " then ".join(link.name for link in snapshot.chain.links)
        tls = "TLS" if listener.tls else "no TLS"
        lines.append(f"listener {listener.name}: {where}, {tls}, identity {listener.identity}, asks {names}")
    for authenticator in tables.authenticator:
        deadline = f"{authenticator.timeout.total_seconds():g} s"
        lines.append(f"authenticator {authenticator.title}: {authenticator.use}, has {deadline} for its answer")
    for upstream in tables.upstream:
        titles = ", ".join("any" if title == "*" else title for title in upstream.called_ae_titles)
        tls = "TLS" if upstream.tls else "no TLS"
        identity = "forwarded" if upstream.identity == "forward" else "stripped"
        where = show_address(*upstream.address)
        lines.append(f"upstream {upstream.name}: {where}, {tls}, called AE title {titles}, identity {identity}")
    return lines


async def _connect_all(assembly: Assembly) -> None:
    reasons = await asyncio.gather(
        *(
            _reason_against(assembly.upstreams[table.name], table.timeout.total_seconds())
            for table in assembly.configuration.tables.upstream
        )
    )
    wrong = []
    for upstream, reason in zip(assembly.upstreams.values(), reasons, strict=True):
        if reason:
            wrong.append(f"upstream {upstream.name}: cannot be reached: {reason}")
        else:
            typer.echo(f"upstream {upstream.name}: reached")
    if wrong:
        raise StartError("\n".join(wrong))


async def _reason_against(upstream: Upstream, seconds: float) -> str:
    """Connect and close again: why that failed, or ""."""
    try:
        (await upstream.open(seconds)).close()
    except StartError as error:
        return str(error)
    return ""
