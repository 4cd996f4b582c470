"""What an authenticator thinks of a token, header by header and claim by claim, for the operator to read.

Rule: no token, no signature, and no values but those of the claims that are looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from .authenticator import Jwt
from .claims import Problem, at, is_moment, moment, shown, values
from .keys import Key
from .token import Token
from .verification import fitting, signature_problem


class Finding(NamedTuple):
    """What was looked at, what is thought of it, and its value or what is wrong with it."""

    what: str
    verdict: Literal["ok", "wrong", "-"]
    detail: str


async def explain(jwt: Jwt, token: Token, certificate: bytes | None) -> list[Finding]:
    """What `jwt` thinks of a token of its issuer; `certificate` is the client's, DER. Raises FetchError.

    What is wrong with the claims is found behind a signature that is not good as well.
    """
    now = time.time()
    keys = fitting(token, await jwt.keys.named(token.key_id))
    problems = list(_problems(jwt, token, keys, certificate, now))
    claims = _claims(jwt, token, now)
    told = {
        "alg": token.algorithm,
        "kid": _key(token, keys),
        "typ": token.type and shown(token.type),
        "signature": None if isinstance(keys, Problem) else "verified",
        **claims,
    }
    findings: list[Finding] = []
    for name, value in told.items():
        wrong = [Finding(name, "wrong", problem.why) for problem in problems if problem.claim == name]
        absent = "not verified" if name == "signature" else "not there"
        findings += wrong or [Finding(name, "-", absent) if value is None else Finding(name, "ok", value)]
    findings += [Finding(problem.claim, "wrong", problem.why) for problem in problems if problem.claim not in told]
    looked_at = {"events", *claims, *(path.partition(".")[0] for path in claims)}
    if others := sorted(token.claims.keys() - looked_at):
        findings.append(Finding("others", "-", f"not looked at: {shown(others)}"))
    return findings


def _problems(
    jwt: Jwt, token: Token, keys: Sequence[Key] | Problem, certificate: bytes | None, now: float
) -> Iterator[Problem]:
    if token.algorithm not in jwt.algorithms:
        yield Problem("alg", f"{token.algorithm!r} is not among the algorithms: {', '.join(jwt.algorithms)}")
    if isinstance(keys, Problem):
        yield keys
    elif found := signature_problem(token, keys, jwt.policy):
        yield found
    yield from jwt.policy.problems(token.claims, type_=token.type, certificate=certificate, now=now)
    user = jwt.mapper.user(token.claims)
    if isinstance(user, Problem):
        yield user


def _key(token: Token, keys: Sequence[Key] | Problem) -> str | None:
    if isinstance(keys, Problem):
        return token.key_id and shown(token.key_id)
    names = ", ".join("one without a name" if key.id is None else shown(key.id) for key in keys)
    return f"keys that fit: {names}"


def _claims(jwt: Jwt, token: Token, now: float) -> dict[str, str | None]:
    """The claims that are looked at, in the order in which they are shown, with their values; None if there is none."""
    told: dict[str, str | None] = {}
    for name in ("iss", "aud"):
        told[name] = shown(token.claims[name]) if name in token.claims else None
    for name in ("exp", "iat", "nbf"):
        told[name] = _moment(token.claims.get(name), now)
    told["jti"] = shown(token.claims["jti"]) if "jti" in token.claims else None
    told["cnf"] = "bound to the client certificate that was shown" if "cnf" in token.claims else None
    for path in (*jwt.policy.required, *jwt.mapper.group_claims):
        told[path] = shown(values(token.claims, path)) if values(token.claims, path) else None
    told[jwt.mapper.user_claim] = shown(at(token.claims, jwt.mapper.user_claim))
    return told


def _moment(value: object, now: float) -> str | None:
    if not is_moment(value):
        return None
    return f"{moment(value)}, {f'in {value - now:.0f} s' if value > now else f'{now - value:.0f} s ago'}"
