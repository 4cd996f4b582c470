"""`dicomgate saml inspect | metadata`: what the configured authenticators think of an assertion; what an IdP is told.

Rule 1: the verdict is the authenticator's own, asked as at a login; the explanation stands beside it.
Rule 2: exit status 0: one of them accepts it; 1: none does; 2: wrong usage or configuration; 3: keys cannot be had.
Rule 3: the assertion is never printed: as long as it lives, it is a login.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import typer

from dicomgate import Attempt, ConfigError, Decision, Identity, IdentityType, Peer
from dicomgate.cli.plugin_commands import (
    DEFAULT_CONFIG,
    ConfigOption,
    authenticators,
    conclude,
    in_words,
    print_table,
    read_certificate,
    read_input,
)

from .authenticator import Saml
from .explanation import explain
from .metadata import write_metadata
from .sources import MetadataUnavailableError

app = typer.Typer(
    name="saml", help="Assertions, explained; and the gateway's metadata.", no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)  # fmt: skip

Row = tuple[str, str, str, str]


@app.command()
def inspect(
    assertion_file: Annotated[
        str, typer.Argument(metavar="FILE", help="The assertion as it is sent; - = standard input.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    certificate: Annotated[Path | None, typer.Option(help="The client's TLS certificate, PEM or DER.")] = None,
    address: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
) -> None:
    """Explain, part by part, what the configured authenticators think of an assertion, without printing it.

    Whether an assertion of single use was used before is not looked at.

    Exit status: 0 one of them accepts it, 1 none does, 2 wrong usage or
    configuration, 3 the keys cannot be had.
    """
    judges = cast(dict[str, Saml], authenticators(config, "saml"))
    der = read_certificate(certificate) if certificate else None
    identity = Identity(IdentityType.SAML, read_input(assertion_file))
    attempt = Attempt(
        "inspect", identity, "DICOMGATE", "ANY-SCP", Peer(address, 0, der), "inspect", (), datetime.now(UTC)
    )
    decisions, rows = asyncio.run(_consult(judges, identity.primary, attempt))
    print_table(("authenticator", "what", "verdict", "detail"), rows)
    conclude(decisions, "assertion")


@app.command()
def metadata(
    name: Annotated[str | None, typer.Argument(help="The authenticator's name; needed if there are several.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print the gateway's metadata, to be registered at the identity provider.

    Exit status: 0 printed, 2 wrong usage or configuration.
    """
    judges = cast(dict[str, Saml], authenticators(config, "saml"))
    if name is None and len(judges) > 1:
        raise ConfigError(f"which one? {', '.join(judges)}")
    judge = next(iter(judges.values())) if name is None else judges.get(name)
    if judge is None:
        raise ConfigError(f'no authenticator with use = "saml" is called {name!r}; there are {", ".join(judges)}')
    certificate = judge.certificate_file.read_bytes() if judge.certificate_file else None
    typer.echo(write_metadata(judge.entity_id, judge.policy.recipient, certificate), nl=False)


async def _consult(judges: dict[str, Saml], data: bytes, attempt: Attempt) -> tuple[list[Decision], list[Row]]:
    decisions: list[Decision] = []
    rows: list[Row] = []
    for name, judge in judges.items():
        async with judge:
            await judge.source.ready()
            decision = judge.authenticate(attempt)
            try:
                found = list(explain(judge, data, attempt.peer.address, attempt.peer.certificate))
                rows += [(name, *finding) for finding in found]
            except MetadataUnavailableError as error:
                rows.append((name, "signature", "-", str(error)))
        decisions.append(decision)
        rows.append((name, "login", *in_words(decision)))
    return decisions, rows
