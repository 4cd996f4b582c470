"""Whether one of the issuer's keys signed a token, and whether it is a login: PyJWT's signatures, then `claims`.

Of PyJWT only the signatures are used. Its `decode` would read the token a second time, in three times as long as the
signature takes, and checks no claim that `claims` does not check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jwt.algorithms import get_default_algorithms

from dicomgate.kit.inspect import ClaimProblem

from .claims import TokenRules
from .keys import Key
from .token import Token

_VERIFIERS = get_default_algorithms()
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


def signature_problem(token: Token, keys: Sequence[Key]) -> ClaimProblem | None:
    """None if one of the keys signed the token, with an algorithm of that key."""
    for key in keys:
        # The key says what it may be used with. The token's header only chooses among that.
        if token.algorithm in key.algorithms:
            verifier = _VERIFIERS[token.algorithm]
            if verifier.verify(token.signed, key.material, token.signature):
                return None
    return ClaimProblem("signature", "not made with this key, or the token was changed")


def problems(
    token: Token, keys: Sequence[Key], rules: TokenRules, *, certificate: bytes | None, now: float
) -> Iterator[ClaimProblem]:
    """What is wrong with a token: with its signature, or with its claims if the signature is good."""
    found = signature_problem(token, keys)
    if found is not None:
        yield found
    else:
        yield from rules.problems(token.claims, type_=token.type, certificate=certificate, now=now)
