"""`dicomgate jwt inspect`: what the configured authenticators think of a token, and why.

Rule 1: the verdict is the authenticator's own, as at a login; the explanation is added to it.
Rule 2: exit status 0: one of them accepts the token; 1: none does; 2: wrong usage or configuration; 3: the keys cannot
        be fetched.
Rule 3: the token is never printed: until it expires, it is a login.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer

from dicomgate import Accept, Attempt, Decision, Identity, IdentityType, Peer, Reject
from dicomgate.cli import plugin_commands
from dicomgate.cli.plugin_commands import (
    DEFAULT_CONFIG,
    ConfigOption,
    NegativeAnswer,
    authenticators,
    read_certificate,
    read_input,
)
from dicomgate.kit.fetch import FetchError
from dicomgate.kit.inspect import Finding

from .authenticator import Jwt
from .explanation import explain
from .token import BadTokenError, NotATokenError, Token, plain, read_token

# Never a traceback with local variables: one of them is a token.
app = typer.Typer(name="jwt", help="Explain tokens.", no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.command()
def inspect(
    token_file: Annotated[
        str, typer.Argument(metavar="TOKEN-FILE", help="The token as it is sent; - = standard input.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    certificate: Annotated[Path | None, typer.Option(help="The client's TLS certificate, PEM or DER.")] = None,
) -> None:
    """Explain, claim by claim, what the configured authenticators think of a token, without printing it.

    It is not checked whether a single-use token was used before.

    Exit status: 0 one of them accepts it, 1 none does, 2 wrong usage or
    configuration, 3 the keys cannot be fetched.
    """
    judges = cast(dict[str, Jwt], authenticators(config, "jwt"))
    peer = Peer("127.0.0.1", 0, read_certificate(certificate) if certificate else None)
    data = read_input(token_file)
    try:
        token = read_token(data)
    except (NotATokenError, BadTokenError) as error:
        raise NegativeAnswer(_why_none(data, error)) from None
    plugin_commands.inspect(judges, Identity(IdentityType.JWT, data), peer, partial(_ask, token), "token")


async def _ask(token: Token, judge: Jwt, attempt: Attempt) -> tuple[Decision, list[Finding]]:
    async with judge:
        decision = await judge.authenticate(attempt)
        if not isinstance(decision, Accept | Reject):
            return decision, []
        try:
            return decision, await explain(judge, token, attempt.peer.certificate)
        except FetchError as error:
            # The token was rejected before any key was needed.
            return decision, [Finding("kid", "-", str(error))]


def _why_none(data: bytes, error: Exception) -> str:
    """Why there is nothing to explain. The text repeats nothing of the data."""
    compact = plain(data)
    if not compact:
        return "the file has no token in it"
    if compact != compact.strip():
        return 'not a token: white space around it; only "Bearer " before it and one line end after it are allowed'
    if isinstance(error, BadTokenError):
        return f"a token that cannot be accepted: {error}"
    if compact.count(b".") == 4:  # RFC 7516 7.1
        return "an encrypted token (JWE), which is never accepted; the provider must send signed ones"
    if compact.count(b".") < 2:
        return 'not a signed token; perhaps an opaque one, about which its issuer must be asked (use = "introspection")'
    return f"not a token: {error}"
