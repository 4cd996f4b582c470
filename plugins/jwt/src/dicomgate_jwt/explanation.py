"""An authenticator's findings on a token, header by header and claim by claim, for the operator to read.

Rule: neither the token nor its signature is shown, and no values but those of the claims that are checked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from dicomgate.kit.inspect import ClaimProblem, Finding, findings
from dicomgate.kit.text import quoted

from .authenticator import Jwt
from .claims import at, is_moment, moment, values
from .keys import Key
from .token import Token
from .verification import fitting, signature_problem


async def explain(jwt: Jwt, token: Token, certificate: bytes | None) -> list[Finding]:
    """The findings of `jwt` on a token of its issuer; `certificate` is the client's (DER). Raises FetchError.

    The claims are checked even if the signature is not good.
    """
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
    found = list(findings(shown, _problems(jwt, token, keys, certificate, now), {"signature": "not verified"}))
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
    elif found := signature_problem(token, keys, jwt.rules):
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
    shown |= {name: _moment(token.claims.get(name), now) for name in ("exp", "iat", "nbf")}
    shown["jti"] = there.get("jti")
    shown["cnf"] = "bound to the client certificate that was presented" if "cnf" in token.claims else None
    for path in (*jwt.rules.required, *jwt.mapper.group_claims):
        shown[path] = quoted(values(token.claims, path)) if values(token.claims, path) else None
    shown[jwt.mapper.user_claim] = quoted(at(token.claims, jwt.mapper.user_claim))
    return shown


def _moment(value: object, now: float) -> str | None:
    if not is_moment(value):
        return None
    return f"{moment(value)}, {f'in {value - now:.0f} s' if value > now else f'{now - value:.0f} s ago'}"
