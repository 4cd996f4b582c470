"""What a token must say to be a login: the claims, one by one, of a token whose signature is verified.

Rule 1: a claim of another type than the standard gives it is no claim: no text where a number belongs, no `true`, no
        date beyond the calendar (RFC 7519 4.1, RFC 8725 3.8 to 3.12).
Rule 2: each problem is found and named, not the first alone: `dicomgate jwt inspect` shows them all.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, NamedTuple, TypeAlias, TypeGuard

TokenType: TypeAlias = Literal["access", "id", "either"]
Scalar: TypeAlias = str | int | bool
Wanted: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]
"""Claim (dotted path) -> the value it must have, or a list of which it must have one."""

_TYPES: Mapping[TokenType, frozenset[str | None]] = {
    "access": frozenset(("at+jwt",)),  # RFC 9068 4
    "id": frozenset((None, "jwt")),
    "either": frozenset((None, "jwt", "at+jwt")),
}
_SPACED = frozenset(("scope", "scp"))
"""RFC 8693 4.2: "The value of the scope claim is a JSON string containing a space-separated list of scopes." """
_END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_LONGEST = 256


class Problem(NamedTuple):
    """What is wrong with a token: the claim or header, and why in words for the log."""

    claim: str
    why: str

    def __str__(self) -> str:
        return f"{self.claim}: {self.why}"


def at(claims: Mapping[str, Any], path: str) -> Any:
    """The value of a claim: of that very name, or at that path ("realm_access.roles"); None if there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def values(claims: Mapping[str, Any], path: str) -> list[Any]:
    """The values of a claim that may have one or several."""
    found = at(claims, path)
    if found is None:
        return []
    if isinstance(found, str) and path.rpartition(".")[2] in _SPACED:
        return [one for one in found.split(" ") if one]
    return found if isinstance(found, list) else [found]


def is_name(value: object) -> bool:
    """True for text that can stand in a log and an audit as somebody's name, and that nobody takes for another one."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable() and value == value.strip()


def is_moment(value: object) -> TypeGuard[float]:
    """True for a moment of the calendar, in seconds since 1970."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _END_OF_TIME


def shown(value: object) -> str:
    """A value of a token for the log: never more than a line of it."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What the operator wants of tokens. Seconds throughout."""

    issuer: str
    audiences: Sequence[str]
    tokens: TokenType
    leeway: float
    maximum_lifetime: float
    required: Wanted = field(default_factory=dict)
    bound: bool = False
    single_use: bool = False

    def problems(
        self, claims: Mapping[str, Any], *, type_: str | None, certificate: bytes | None, now: float
    ) -> Iterator[Problem]:
        """All that is wrong. `type_` is the header's `typ`; `certificate` the client's, DER; `now` in Unix time."""
        yield from self._kind(type_, claims)
        if claims.get("iss") != self.issuer:
            yield Problem("iss", f"{shown(claims.get('iss'))}, not {self.issuer!r}")
        yield from audience_problems(claims, self.audiences)
        yield from time_problems(claims, leeway=self.leeway, now=now, needed=("exp", "iat"))
        yield from self._lifetime(claims)
        if self.single_use and not is_name(claims.get("jti")):
            yield Problem("jti", "is missing, and without it nobody can see that the token is used once")
        if "jti" in claims and not isinstance(claims["jti"], str):
            yield Problem("jti", "not text")
        yield from value_problems(claims, self.required)
        yield from binding_problems(claims, certificate, bound=self.bound)

    def _kind(self, type_: str | None, claims: Mapping[str, Any]) -> Iterator[Problem]:
        # RFC 7515 4.1.9: a media type, so letters of any case, and "application/" may be left out.
        kind = None if type_ is None else type_.lower().removeprefix("application/")
        if kind not in _TYPES[self.tokens]:
            yield Problem("typ", f"{shown(type_)} is not the type of {_ARTICLE[self.tokens]}")
        if "events" in claims:  # RFC 8417; OpenID Connect Back-Channel Logout 2.4
            yield Problem("events", "a security event, a logout for instance, is no login")

    def _lifetime(self, claims: Mapping[str, Any]) -> Iterator[Problem]:
        ends, begins = claims.get("exp"), claims.get("iat")
        if is_moment(ends) and is_moment(begins) and ends - begins > self.maximum_lifetime:
            yield Problem("exp", f"lives for {ends - begins:.0f} s; {self.maximum_lifetime:.0f} are the most")


_ARTICLE = {"access": "an access token (at+jwt)", "id": "an ID token", "either": "an access or ID token"}


def audience_problems(claims: Mapping[str, Any], audiences: Sequence[str]) -> Iterator[Problem]:
    """RFC 7519 4.1.3: whoever is not named in `aud` must reject the token."""
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not named or not all(isinstance(one, str) for one in named):
        yield Problem("aud", "is missing, or not text or a list of texts")
    elif not set(audiences).intersection(named):
        yield Problem("aud", f"{shown(named)}, none of {', '.join(map(repr, audiences))}")


def time_problems(
    claims: Mapping[str, Any], *, leeway: float, now: float, needed: Collection[str] = ()
) -> Iterator[Problem]:
    """What is wrong with `exp`, `iat` and `nbf`, those that are there; those that are `needed` must be."""
    moments: dict[str, float] = {}
    for name in ("exp", "iat", "nbf"):
        if name not in claims:
            if name in needed:
                yield Problem(name, "is missing")
        elif not is_moment(claims[name]):
            yield Problem(name, "not a number of seconds since 1970")
        else:
            moments[name] = claims[name]
    # RFC 7519 4.1.4: not to be accepted "on or after" the moment it expires.
    if "exp" in moments and moments["exp"] + leeway <= now:
        yield Problem("exp", f"expired at {moment(moments['exp'])}, {now - moments['exp']:.0f} s ago")
    for name in ("iat", "nbf"):
        if name in moments and moments[name] - leeway > now:
            yield Problem(name, f"not yet: {moment(moments[name])}, in {moments[name] - now:.0f} s")


def value_problems(claims: Mapping[str, Any], required: Wanted) -> Iterator[Problem]:
    """The claims that do not have the value that the operator wants."""
    for path, wanted in required.items():
        any_of = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
        found = values(claims, path)
        if not any(_same(one, value) for one in any_of for value in found):
            yield Problem(path, f"{shown(found) if found else 'is missing'}; wanted is {wanted!r}")


def binding_problems(claims: Mapping[str, Any], certificate: bytes | None, *, bound: bool) -> Iterator[Problem]:
    """RFC 8705 3.1: whoever cannot show the certificate that a token is bound to has stolen it."""
    binding = claims.get("cnf")
    if binding is None:
        if bound or "cnf" in claims:
            yield Problem("cnf", "not bound to a client certificate")
    elif not isinstance(binding, dict) or binding.keys() != {"x5t#S256"} or not isinstance(binding["x5t#S256"], str):
        yield Problem("cnf", "bound to something else than a client certificate (x5t#S256)")
    elif certificate is None:
        yield Problem("cnf", "bound to a client certificate, and the client has shown none")
    elif not hmac.compare_digest(binding["x5t#S256"].encode("utf-8"), thumbprint(certificate)):
        yield Problem("cnf", "bound to another client certificate than the one that was shown")


def thumbprint(certificate: bytes) -> bytes:
    """RFC 8705 3.1: the base64url-encoded SHA-256 digest of the DER encoding."""
    return urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=")


def moment(seconds: float) -> str:
    """A moment of a token for the log."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _same(wanted: object, value: object) -> bool:
    return type(wanted) is type(value) and wanted == value  # 1 is not true, and "1" is neither
