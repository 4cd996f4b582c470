"""The claims that a token must have to be a login, and what they say of its user.

Rule 1: claims are read after the signature was verified, and must have the type that the standard gives them: no text
        for a number, no `true`, no date beyond the calendar (RFC 7519 4.1, RFC 8725 3.8 to 3.12).
Rule 2: every problem is found, not only the first one: `dicomgate jwt inspect` shows them all.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, TypeAlias, TypeGuard

from dicomgate.kit.inspect import ClaimProblem
from dicomgate.kit.text import is_name, quoted, told_apart

TokenType: TypeAlias = Literal["access", "id", "either"]
Scalar: TypeAlias = str | int | bool
Wanted: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]
"""Claim (dotted path) -> the value that it must have, or a list of values of which it must have one."""

_TYPES: Mapping[TokenType, frozenset[str | None]] = {
    "access": frozenset(("at+jwt",)),  # RFC 9068 4
    "id": frozenset((None, "jwt")),
    "either": frozenset((None, "jwt", "at+jwt")),
}
_SPACED = frozenset(("scope", "scp"))
"""RFC 8693 4.2: "The value of the scope claim is a JSON string containing a space-separated list of scopes." """
_ANY_CASE = frozenset(("token_type",))
"""RFC 6749 5.1: "Value is case insensitive." All other values are compared as they are."""
_MOST_GROUPS = 1000
_TOLD = ("jti", "client_id", "azp")
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def at(claims: Mapping[str, Any], path: str) -> Any:
    """The value of the claim with this name, or at this path ("realm_access.roles"); None if there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def values(claims: Mapping[str, Any], path: str) -> list[Any]:
    """The values of a claim that may have one value or several."""
    found = at(claims, path)
    if found is None:
        return []
    if isinstance(found, str) and path.rpartition(".")[2] in _SPACED:
        return [one for one in found.split(" ") if one]
    return found if isinstance(found, list) else [found]


def is_moment(value: object) -> TypeGuard[float]:
    """True for a number of seconds since 1970 that the calendar has."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _END_OF_TIME


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRules:
    """What the operator requires of tokens. All times are in seconds."""

    issuer: str
    audiences: Sequence[str]
    tokens: TokenType
    leeway: float
    maximum_lifetime: float
    required: Wanted = field(default_factory=dict)
    bound: bool = False
    single_use: bool = False
    audience_claim: str = "aud"

    def problems(
        self, claims: Mapping[str, Any], *, type_: str | None, certificate: bytes | None, now: float
    ) -> Iterator[ClaimProblem]:
        """Every problem. `type_` is the header's `typ`, `certificate` the client's (DER), `now` is in Unix time."""
        yield from self._kind(type_, claims)
        if claims.get("iss") != self.issuer:
            yield ClaimProblem("iss", told_apart(claims.get("iss"), self.issuer))
        yield from self._audience(claims)
        yield from time_problems(claims, leeway=self.leeway, now=now, needed=("exp", "iat"))
        yield from self._lifetime(claims)
        if self.single_use and not is_name(claims.get("jti")):
            yield ClaimProblem("jti", "is missing; without it a second use cannot be seen")
        if "jti" in claims and not isinstance(claims["jti"], str):
            yield ClaimProblem("jti", "not text")
        if not isinstance(claims.get("sub"), str | None):
            # null says as much as nothing; LemonLDAP::NG writes it into a client's own token.
            yield ClaimProblem("sub", "not text")
        yield from value_problems(claims, self.required)
        yield from binding_problems(claims, certificate, bound=self.bound)

    def _kind(self, type_: str | None, claims: Mapping[str, Any]) -> Iterator[ClaimProblem]:
        # RFC 7515 4.1.9: a media type, so in any case, and "application/" may be left out.
        kind = None if type_ is None else type_.lower().removeprefix("application/")
        if kind not in _TYPES[self.tokens]:
            yield ClaimProblem("typ", f"{quoted(type_)} is not the type of {_ARTICLE[self.tokens]}")
        if "events" in claims:  # RFC 8417; OpenID Connect Back-Channel Logout 2.4
            yield ClaimProblem("events", "a security event, for example a logout, is no login")

    def _audience(self, claims: Mapping[str, Any]) -> Iterator[ClaimProblem]:
        if self.audience_claim != "aud":
            yield from audience_problems(claims, self.audiences, self.audience_claim)
        if self.audience_claim == "aud" or "aud" in claims:  # one that is there binds the gateway, wherever it looks
            yield from audience_problems(claims, self.audiences)

    def _lifetime(self, claims: Mapping[str, Any]) -> Iterator[ClaimProblem]:
        ends, begins = claims.get("exp"), claims.get("iat")
        if is_moment(ends) and is_moment(begins) and ends - begins > self.maximum_lifetime:
            yield ClaimProblem("exp", f"lives for {ends - begins:.0f} s; {self.maximum_lifetime:.0f} are the most")


_ARTICLE = {"access": "an access token (at+jwt)", "id": "an ID token", "either": "an access or ID token"}


def audience_problems(
    claims: Mapping[str, Any], audiences: Sequence[str], claim: str = "aud"
) -> Iterator[ClaimProblem]:
    """RFC 7519 4.1.3: a recipient that `aud` does not name must reject the token. `claim`: the path of another."""
    audience = at(claims, claim)
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not named or not all(isinstance(one, str) for one in named):
        yield ClaimProblem(claim, "is missing, or neither text nor a list of texts")
    elif not set(audiences).intersection(named):
        yield ClaimProblem(claim, f"{quoted(named)}, none of {', '.join(map(repr, audiences))}")


def time_problems(
    claims: Mapping[str, Any], *, leeway: float, now: float, needed: Collection[str] = ()
) -> Iterator[ClaimProblem]:
    """The problems with `exp`, `iat` and `nbf` as far as they are there; those that are `needed` must be there."""
    moments: dict[str, float] = {}
    for name in ("exp", "iat", "nbf"):
        if name not in claims:
            if name in needed:
                yield ClaimProblem(name, "is missing")
        elif not is_moment(claims[name]):
            yield ClaimProblem(name, "not a number of seconds since 1970")
        else:
            moments[name] = claims[name]
    # RFC 7519 4.1.4: must not be accepted "on or after" the moment it expires.
    if "exp" in moments and moments["exp"] + leeway <= now:
        yield ClaimProblem("exp", f"expired at {moment(moments['exp'])}, {now - moments['exp']:.0f} s ago")
    for name in ("iat", "nbf"):
        if name in moments and moments[name] - leeway > now:
            why = f"not yet: {moment(moments[name])}, in {moments[name] - now:.0f} s"
            yield ClaimProblem(name, why, until=moments[name] - leeway)


def value_problems(claims: Mapping[str, Any], required: Wanted) -> Iterator[ClaimProblem]:
    """A problem for each claim that does not have a value that the operator requires."""
    for path, wanted in required.items():
        any_of = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
        found = values(claims, path)
        if not any(_same(one, value, path) for one in any_of for value in found):
            yield ClaimProblem(path, f"{quoted(found) if found else 'is missing'}; required is {wanted!r}")


def binding_problems(claims: Mapping[str, Any], certificate: bytes | None, *, bound: bool) -> Iterator[ClaimProblem]:
    """RFC 8705 3.1: a client without the certificate that a token is bound to must be refused: the token is stolen."""
    binding = claims.get("cnf")
    if binding is None:
        if bound or "cnf" in claims:
            yield ClaimProblem("cnf", "not bound to a client certificate")
    elif not isinstance(binding, dict) or binding.keys() != {"x5t#S256"} or not isinstance(binding["x5t#S256"], str):
        yield ClaimProblem("cnf", "not bound by the client certificate's digest (x5t#S256)")
    elif certificate is None:
        yield ClaimProblem("cnf", "bound to a client certificate, and the client presented none")
    elif not hmac.compare_digest(binding["x5t#S256"].encode("utf-8"), thumbprint(certificate)):
        yield ClaimProblem("cnf", "bound to another client certificate than the one presented")


def thumbprint(certificate: bytes) -> bytes:
    """The base64url-encoded SHA-256 digest of a certificate in DER (RFC 8705 3.1)."""
    return urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=")


def moment(seconds: float) -> str:
    """A time, in seconds since 1970, as text for the log."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _same(wanted: object, value: object, path: str) -> bool:
    if path in _ANY_CASE and isinstance(wanted, str) and isinstance(value, str):
        return wanted.lower() == value.lower()
    return type(wanted) is type(value) and wanted == value  # 1 is not true, and "1" is neither of them


@dataclass(frozen=True, slots=True)
class Mapper:
    """The claim (dotted path) with the user's name, and those with the groups."""

    user_claim: str
    group_claims: Sequence[str]

    def user(self, claims: Mapping[str, Any]) -> str | ClaimProblem:
        """The user's name, or why there is none."""
        user = at(claims, self.user_claim)
        if user is None:
            return ClaimProblem(self.user_claim, "is missing; user_claim must say which claim has the user's name")
        return user if is_name(user) else ClaimProblem(self.user_claim, f"{quoted(user)} cannot be a user's name")

    def groups(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The groups: those values of the claims that are names. No other value is turned into one."""
        found = [value for path in self.group_claims for value in values(claims, path) if is_name(value)]
        return frozenset(found[:_MOST_GROUPS])


def end(moment: float, leeway: timedelta) -> datetime:
    """When the login must end, for a token that expires at `moment` (seconds since 1970)."""
    ends = datetime.fromtimestamp(moment, UTC)
    # An expired token was accepted because clocks may differ by the leeway; the login ends with the leeway.
    return ends if ends > datetime.now(UTC) else ends + leeway


def told(claims: Mapping[str, Any]) -> dict[str, str]:
    """The audit's attributes: which token it was and which client it was issued to. Neither is a secret."""
    return {name: claims[name] for name in _TOLD if is_name(claims.get(name))}
