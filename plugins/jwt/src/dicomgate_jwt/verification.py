"""Whether one of the issuer's keys signed a token, and whether it is a login: first by PyJWT, then by `claims`.

Both are needed. PyJWT verifies the signature and the claims that it knows; `claims` tells the operator what is wrong
and finds what PyJWT does not check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jwt
from jwt.types import Options

from dicomgate.kit.inspect import ClaimProblem
from dicomgate.kit.text import quoted

from .claims import TokenRules
from .keys import Key
from .token import Token

_MOST_TRIED = 8
"""Keys without a name that are tried one after the other; each verification takes a tenth of a millisecond."""


def fitting(token: Token, named: Sequence[Key]) -> Sequence[Key] | ClaimProblem:
    """Those of the `named` keys that can have signed the token, or why there are none."""
    if not named:
        return ClaimProblem("kid", f"no key of the issuer is called {token.key_id!r}" if token.key_id else "no key")
    fit = [key for key in named if token.algorithm in key.algorithms]
    if not fit:
        allowed = sorted(frozenset().union(*(key.algorithms for key in named)))
        return ClaimProblem("alg", f"{token.algorithm!r}, but the key is for {', '.join(allowed)}")
    if len(fit) > _MOST_TRIED:
        return ClaimProblem("kid", f"is missing, and {len(fit)} keys are possible")
    return fit


def signature_problem(token: Token, keys: Sequence[Key], rules: TokenRules) -> ClaimProblem | None:
    """None if one of the keys signed the token and PyJWT finds nothing wrong with its claims."""
    for key in keys:
        try:
            jwt.decode(
                token.compact,
                key.material,
                # From the key, never from the token's header.
                algorithms=sorted(key.algorithms),
                audience=list(rules.audiences),
                issuer=rules.issuer,
                leeway=rules.leeway,
                options=_options(rules),
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.PyJWTError as error:
            return ClaimProblem("token", quoted(str(error)))
        return None
    return ClaimProblem("signature", "not made with this key, or the token was changed")


def _options(rules: TokenRules) -> Options:
    """What PyJWT is to check; `claims` has the rules for what it leaves."""
    named = rules.audience_claim == "aud"
    return {
        "require": ["exp", "iat", "iss", *["aud"] * named],
        "verify_aud": named,
        "verify_sub": False,  # it would refuse null
        "enforce_minimum_key_length": True,
    }


def problems(
    token: Token, keys: Sequence[Key], rules: TokenRules, *, certificate: bytes | None, now: float
) -> Iterator[ClaimProblem]:
    """What is wrong with a token: with its signature, or with its claims if the signature is good."""
    found = signature_problem(token, keys, rules)
    if found is not None and found.claim == "signature":
        yield found
        return
    yield from rules.problems(token.claims, type_=token.type, certificate=certificate, now=now)
    if found is not None:
        yield found
