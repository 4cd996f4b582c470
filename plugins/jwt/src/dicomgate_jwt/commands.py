"""`dicomgate jwt inspect`: what the configured authenticators think of a token, and why.

Rule 1: the verdict is the authenticator's own, asked as at a login; the explanation stands beside it.
Rule 2: exit status 0: one of them accepts it; 1: none does; 2: wrong usage or configuration; 3: keys cannot be had.
Rule 3: the token is never printed: as long as it lives, it is a login.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from dicomgate import Accept, Attempt, Authenticator, Decision, Identity, IdentityType, Peer, Reject
from dicomgate.cli.plugin_commands import (
    DEFAULT_CONFIG,
    ConfigOption,
    NegativeAnswer,
    authenticators,
    conclude,
    in_words,
    print_table,
    read_certificate,
    read_input,
)
from dicomgate.kit.fetch import FetchError

from .authenticator import Jwt
from .explanation import explain
from .token import BadTokenError, NotATokenError, Token, plain, read_token

# Never a traceback with local variables: one of them is a token.
app = typer.Typer(name="jwt", help="Tokens, explained.", no_args_is_help=True, pretty_exceptions_show_locals=False)

Row = tuple[str, str, str, str]


@app.command()
def inspect(
    token_file: Annotated[
        str, typer.Argument(metavar="TOKEN-FILE", help="The token as it is sent; - = standard input.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    certificate: Annotated[Path | None, typer.Option(help="The client's TLS certificate, PEM or DER.")] = None,
) -> None:
    """Explain, claim by claim, what the configured authenticators think of a token, without printing it.

    Whether a token of single use was used before is not looked at.

    Exit status: 0 one of them accepts it, 1 none does, 2 wrong usage or
    configuration, 3 the keys cannot be had.
    """
    judges = authenticators(config, "jwt")
    der = read_certificate(certificate) if certificate else None
    data = read_input(token_file)
    try:
        token = read_token(data)
    except (NotATokenError, BadTokenError) as error:
        raise NegativeAnswer(_why_none(data, error)) from None
    identity = Identity(IdentityType.JWT, data)
    peer = Peer("127.0.0.1", 0, der)
    attempt = Attempt("inspect", identity, "DICOMGATE", "ANY-SCP", peer, "inspect", (), datetime.now(UTC))
    decisions, rows = asyncio.run(_consult(judges, token, attempt))
    print_table(("authenticator", "what", "verdict", "detail"), rows)
    conclude(decisions, "token")


async def _consult(
    judges: dict[str, Authenticator], token: Token, attempt: Attempt
) -> tuple[list[Decision], list[Row]]:
    decisions: list[Decision] = []
    rows: list[Row] = []
    for name, judge in judges.items():
        assert isinstance(judge, Jwt)  # noqa: S101 (what `use = "jwt"` makes)
        async with judge:
            decision = await judge.authenticate(attempt)
            if isinstance(decision, Accept | Reject):
                try:
                    rows += [(name, *finding) for finding in await explain(judge, token, attempt.peer.certificate)]
                except FetchError as error:
                    # It was rejected before any key was needed.
                    rows.append((name, "kid", "-", str(error)))
        decisions.append(decision)
        rows.append((name, "login", *in_words(decision)))
    return decisions, rows


def _why_none(data: bytes, error: Exception) -> str:
    """Why there is nothing to explain. Repeats nothing of the data."""
    compact = plain(data)
    if not compact:
        return "there is no token in it"
    if compact != compact.strip():
        return 'not a token: white space around it; one line end behind it and "Bearer " before it are all that may be'
    if isinstance(error, BadTokenError):
        return f"a token that nobody can accept: {error}"
    if compact.count(b".") == 4:  # RFC 7516 7.1
        return "an encrypted token (JWE): it is accepted by none; the provider is to send signed ones"
    if compact.count(b".") < 2:
        return 'not a signed token; an opaque one, perhaps: who issued it says what it is (use = "introspection")'
    return f"not a token: {error}"
