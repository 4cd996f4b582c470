"""`dicomgate saml inspect | metadata`: what the authenticators think of an assertion; the gateway's metadata.

Rule 1: the verdict is the authenticator's own, as at a login; the explanation is added to it.
Rule 2: exit status 0: one of them accepts the assertion; 1: none does; 2: wrong usage or configuration; 3: the keys
        cannot be fetched.
Rule 3: the assertion is never printed: until it expires, it is a login.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from dicomgate import Attempt, ConfigError, Decision, Identity, IdentityType, Peer
from dicomgate.cli import plugin_commands
from dicomgate.cli.plugin_commands import DEFAULT_CONFIG, ConfigOption, authenticators, read_certificate, read_input
from dicomgate.kit.inspect import Finding

from .authenticator import Saml
from .explanation import explain
from .response import write_metadata
from .sources import MetadataUnavailableError

app = typer.Typer(
    name="saml", help="Explain assertions; print the gateway's metadata.", no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)  # fmt: skip


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

    It is not checked whether a single-use assertion was used before.

    Exit status: 0 one of them accepts it, 1 none does, 2 wrong usage or
    configuration, 3 the keys cannot be fetched.
    """
    judges = cast(dict[str, Saml], authenticators(config, "saml"))
    peer = Peer(address, 0, read_certificate(certificate) if certificate else None)
    identity = Identity(IdentityType.SAML, read_input(assertion_file))
    plugin_commands.inspect(judges, identity, peer, _ask, "assertion")


@app.command()
def metadata(
    name: Annotated[str | None, typer.Argument(help="The authenticator's name; required if there are several.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print the gateway's metadata, which must be registered at the identity provider.

    Exit status: 0 printed, 2 wrong usage or configuration.
    """
    judges = cast(dict[str, Saml], authenticators(config, "saml"))
    if name is None and len(judges) > 1:
        raise ConfigError(f"which one? {', '.join(judges)}")
    judge = next(iter(judges.values())) if name is None else judges.get(name)
    if judge is None:
        raise ConfigError(f'no authenticator with use = "saml" is called {name!r}; there are {", ".join(judges)}')
    certificate = judge.certificate_file.read_bytes() if judge.certificate_file else None
    typer.echo(write_metadata(judge.entity_id, judge.rules.recipient, certificate), nl=False)


async def _ask(judge: Saml, attempt: Attempt) -> tuple[Decision, list[Finding]]:
    identity = attempt.identity
    assert identity is not None  # noqa: S101 (`inspect` puts it there)
    async with judge:
        await judge.source.ready()
        decision = judge.authenticate(attempt)
        try:
            return decision, list(explain(judge, identity.primary, attempt.peer.address, attempt.peer.certificate))
        except MetadataUnavailableError as error:
            return decision, [Finding("signature", "-", str(error))]
