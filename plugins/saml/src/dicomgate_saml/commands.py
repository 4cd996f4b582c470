"""`dicomgate saml inspect | metadata`: what the authenticators think of an assertion; the gateway's metadata.

Rule 1: the verdict is the authenticator's own, as at a login; the explanation is added to it.
Rule 2: the assertion is never printed: until it expires, it is a login. Nor is its signature, or any value but those
        that are checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, cast

import typer

from dicomgate import Attempt, ConfigError, Decision, Identity, IdentityType, Peer
from dicomgate.cli import plugin_commands
from dicomgate.cli.plugin_commands import (
    DEFAULT_CONFIG,
    ConfigOption,
    authenticators,
    client_address,
    read_certificate,
    read_input,
)
from dicomgate.kit.fetch import FetchError
from dicomgate.kit.inspect import ClaimProblem, Finding, findings
from dicomgate.kit.refreshed import Refreshed
from dicomgate.kit.text import quoted, told_apart

from .authenticator import Saml
from .document import SAML, Element, RefusedError
from .principal import attributes
from .response import write_metadata
from .sources import trusted
from .verification import read_assertion, verify

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
    peer = Peer(client_address(address), 0, read_certificate(certificate) if certificate else None)
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
        if isinstance(judge.source, Refreshed):
            await judge.source.settled()
        decision = judge.authenticate(attempt)
        try:
            return decision, list(_explain(judge, identity.primary, attempt.peer.address, attempt.peer.certificate))
        except FetchError as error:
            return decision, [Finding("signature", "-", str(error))]


def _explain(judge: Saml, data: bytes, address: str, certificate: bytes | None) -> Iterator[Finding]:
    """The findings of `judge` on an assertion; `certificate` is the client's (DER). Raises FetchError."""
    # Nothing is read after a wrong form or a bad signature, because anybody may have written it.
    now = time.time()
    try:
        assertion, signature = read_assertion(data, judge.decryptor)
    except RefusedError as error:
        yield Finding("form", "wrong", str(error))
        return
    yield Finding("form", "ok", "one assertion, with one signature")
    issuer = assertion[0].text
    if issuer != judge.issuer:
        yield Finding("Issuer", "-", f"{told_apart(issuer, judge.issuer)}: not this table's")
        return
    try:
        verified = verify(signature, trusted(judge.source, now).certificates)
    except RefusedError as error:
        yield Finding("signature", "wrong", str(error))
        return
    yield Finding("signature", "ok", "verified")
    problems = list(judge.rules.problems(verified, address=address, certificate=certificate, now=now))
    user = judge.mapper.user(verified)
    if isinstance(user, ClaimProblem):
        problems.append(user)
    yield from findings(_checked(verified), problems)
    others = attributes(verified).keys() - {judge.mapper.user_attribute, *judge.mapper.group_attributes}
    if others:
        yield Finding("other attributes", "-", quoted(sorted(others)))


def _checked(verified: Element) -> dict[str, str | None]:
    """The parts that are checked, with their values, in the assertion's order; those that are there."""
    audiences = [one.text for one in verified.iterfind(f"{SAML}Conditions/{SAML}AudienceRestriction/{SAML}Audience")]
    data = verified.find(f"{SAML}Subject/{SAML}SubjectConfirmation/{SAML}SubjectConfirmationData")
    conditions = verified.find(f"{SAML}Conditions")
    name = verified.find(f"{SAML}Subject/{SAML}NameID")
    contexts = [one.text for one in verified.iterfind(f".//{SAML}AuthnContextClassRef")]
    found = {
        "Issuer": quoted(verified[0].text),
        "IssueInstant": verified.get("IssueInstant"),
        "NameID": None if name is None else quoted(name.text),
        "Conditions": None if conditions is None else f"until {conditions.get('NotOnOrAfter')}",
        "Audience": quoted(audiences) if audiences else None,
        "SubjectConfirmationData": None if data is None else f"until {data.get('NotOnOrAfter')}",
        "Recipient": None if data is None else quoted(data.get("Recipient")),
        "AuthnContextClassRef": quoted(contexts) if contexts else None,
    }
    return {what: value for what, value in found.items() if value is not None}
