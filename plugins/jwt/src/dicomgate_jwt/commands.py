"""`dicomgate jwt inspect`: what the configured authenticators think of a token, and why; `jwks`: what a PACS reads.

Rule 1: the verdict is the authenticator's own, as at a login; the explanation is added to it.
Rule 2: the token is never printed: until it expires, it is a login. Nor is its signature, or any value but those of the
        claims that are checked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, cast

import typer

from dicomgate import Accept, Attempt, Decision, Identity, IdentityType, Peer, Reject
from dicomgate.cli import plugin_commands
from dicomgate.cli.plugin_commands import DEFAULT_CONFIG, ConfigOption, NegativeAnswer, read_certificate, read_input
from dicomgate.kit.fetch import FetchError
from dicomgate.kit.inspect import ClaimProblem, Finding, findings
from dicomgate.kit.text import quoted

from .authenticator import Jwt
from .claims import at, is_moment, moment, values
from .keys import Key
from .signing import read_signing_key
from .token import BadTokenError, NotATokenError, Token, plain, read_token
from .verification import fitting, signature_problem

# Never a traceback with local variables: one of them is a token.
app = typer.Typer(
    name="jwt", help="Explain tokens, and publish keys.", no_args_is_help=True, pretty_exceptions_show_locals=False
)


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
    judges = cast(dict[str, Jwt], plugin_commands.authenticators(config, "jwt"))
    peer = Peer("127.0.0.1", 0, read_certificate(certificate) if certificate else None)
    data = read_input(token_file)
    try:
        token = read_token(data)
    except (NotATokenError, BadTokenError) as error:
        raise NegativeAnswer(_why_none(data, error)) from None
    plugin_commands.inspect(judges, Identity(IdentityType.JWT, data), peer, partial(_ask, token), "token")


@app.command()
def jwks(
    key_files: Annotated[list[Path], typer.Argument(metavar="KEY-FILE...", help="Private keys, PEM.")],
) -> None:
    """Print the public keys that belong to the gateway's private keys, as a JSON Web Key Set.

    It is the file that a PACS verifies the gateway's tokens with.

    Exit status: 0 printed, 2 wrong usage, or a key that cannot be used.
    """
    keys = {key.public["kid"]: key.public for key in map(read_signing_key, key_files)}
    typer.echo(json.dumps({"keys": list(keys.values())}, indent=2))


async def _ask(token: Token, judge: Jwt, attempt: Attempt) -> tuple[Decision, list[Finding]]:
    async with judge:
        decision = await judge.authenticate(attempt)
        if not isinstance(decision, Accept | Reject):
            return decision, []
        try:
            return decision, await _explain(judge, token, attempt.peer.certificate)
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


async def _explain(jwt: Jwt, token: Token, certificate: bytes | None) -> list[Finding]:
    """The findings of `jwt` on a token, also if its signature is bad; `certificate` is in DER. Raises FetchError."""
    now = time.time()
    keys = fitting(token, await jwt.keys.named(token.key_id))
    claims = _claims(jwt, token, now)
    shown = {
        "alg": token.algorithm,
        "kid": _key(token, keys),
        "typ": token.type and quoted(token.type),
        "signature": None if isinstance(keys, ClaimProblem) else "verified",
        **claims,
    }
    absent = {"signature": "not verified", **_left_out(jwt, token)}
    found = list(findings(shown, _problems(jwt, token, keys, certificate, now), absent))
    checked = {"events", *claims, *(path.partition(".")[0] for path in claims)}
    if others := sorted(token.claims.keys() - checked):
        found.append(Finding("others", "-", f"not checked: {quoted(others)}"))
    return found


def _problems(
    jwt: Jwt, token: Token, keys: Sequence[Key] | ClaimProblem, certificate: bytes | None, now: float
) -> Iterator[ClaimProblem]:
    if token.algorithm not in jwt.algorithms:
        yield ClaimProblem("alg", f"{token.algorithm!r} is not among the algorithms: {', '.join(jwt.algorithms)}")
    if isinstance(keys, ClaimProblem):
        yield keys
    elif found := signature_problem(token, keys):
        yield found
    yield from jwt.rules.problems(token.claims, type_=token.type, certificate=certificate, now=now)
    user = jwt.mapper.user(token.claims)
    if isinstance(user, ClaimProblem):
        yield user


def _key(token: Token, keys: Sequence[Key] | ClaimProblem) -> str | None:
    if isinstance(keys, ClaimProblem):
        return token.key_id and quoted(token.key_id)
    names = ", ".join("one without a name" if key.id is None else quoted(key.id) for key in keys)
    return f"keys that fit: {names}"


def _claims(jwt: Jwt, token: Token, now: float) -> dict[str, str | None]:
    """The claims that are checked, in the order of the table, with their values; None for one that is not there."""
    there = {name: quoted(token.claims[name]) for name in ("iss", "aud", "jti") if name in token.claims}
    shown: dict[str, str | None] = {name: there.get(name) for name in ("iss", "aud")}
    if jwt.audience_claim != "aud":
        shown[jwt.audience_claim] = _quoted(at(token.claims, jwt.audience_claim))
    shown |= {name: _moment(token.claims.get(name), now) for name in ("exp", "iat", "nbf")}
    shown["jti"] = there.get("jti")
    shown["cnf"] = "bound to the client certificate that was presented" if "cnf" in token.claims else None
    for path in (*jwt.rules.required, *jwt.mapper.group_claims):
        shown[path] = quoted(values(token.claims, path)) if values(token.claims, path) else None
    shown[jwt.mapper.user_claim] = _quoted(at(token.claims, jwt.mapper.user_claim))
    return shown


def _quoted(value: object) -> str | None:
    return None if value is None else quoted(value)


def _left_out(jwt: Jwt, token: Token) -> dict[str, str]:
    """The group claims in whose place the token has a link (OpenID Connect Core 5.6.2), as Entra ID gives one."""
    names = token.claims.get("_claim_names")
    linked = set(names) if isinstance(names, dict) else set()
    linked |= {"groups"} if token.claims.get("hasgroups") is True else set()
    why = "left out by the provider, which has too many of them for a token: the user has none of these groups"
    return {path: why for path in jwt.mapper.group_claims if path in linked}


def _moment(value: object, now: float) -> str | None:
    if not is_moment(value):
        return None
    return f"{moment(value)}, {f'in {value - now:.0f} s' if value > now else f'{now - value:.0f} s ago'}"
