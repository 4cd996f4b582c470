"""Whether a token was signed by one of its issuer's keys, and whether it is a login: PyJWT's verdict, and then ours.

The two do not replace each other. PyJWT verifies the signature and, once more, the claims that it knows; `claims` says
what is wrong in words for the operator, and finds what PyJWT lets through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jwt

from .claims import Policy, Problem, shown
from .keys import Key
from .token import Signed, Token

_MOST_TRIED = 8
"""Keys without a name that are tried one after the other: a verification takes a tenth of a millisecond."""


def fitting(token: Signed, named: Sequence[Key]) -> Sequence[Key] | Problem:
    """Those of the keys of the token's name that it can have been signed with."""
    if not named:
        return Problem("kid", f"no key of the issuer is called {token.key_id!r}" if token.key_id else "no key")
    fit = [key for key in named if token.algorithm in key.algorithms]
    if not fit:
        allowed = sorted(frozenset().union(*(key.algorithms for key in named)))
        return Problem("alg", f"{token.algorithm!r}, but the key is for {', '.join(allowed)}")
    if len(fit) > _MOST_TRIED:
        return Problem("kid", f"is missing, and {len(fit)} keys could be meant")
    return fit


def signature_problem(token: Signed, keys: Sequence[Key], policy: Policy) -> Problem | None:
    """None if one of the keys has signed it; and then a problem of PyJWT's with its claims, if it has one."""
    for key in keys:
        try:
            jwt.decode(
                token.compact,
                key.material,
                # Not from the token's header: what the key is for.
                algorithms=sorted(key.algorithms),
                audience=list(policy.audiences),
                issuer=policy.issuer,
                leeway=policy.leeway,
                options={"require": ["exp", "iat", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            return Problem("token", shown(str(error)))
        return None
    return Problem("signature", "made with another key, or the token was changed")


def problems(
    token: Token, keys: Sequence[Key], policy: Policy, *, certificate: bytes | None, now: float
) -> Iterator[Problem]:
    """What is wrong with a token, the signature first; its claims are looked at only behind a good one."""
    found = signature_problem(token, keys, policy)
    if found is not None and found.claim == "signature":
        yield found
        return
    yield from policy.problems(token.claims, type_=token.type, certificate=certificate, now=now)
    if found is not None:
        yield found
