"""The answer of a token endpoint -> the token, and how long it lasts (RFC 6749 5.1, RFC 8693 2.2.1).

Rule: how long is counted from before the question, by `expires_in`: so a clock that is wrong does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dicomgate.kit.fetch import FetchError

from .strict_json import NotJsonError, read_object
from .token import is_bearer, unverified_end

TOKEN_TYPES = {name: f"urn:ietf:params:oauth:token-type:{name}" for name in ("access_token", "id_token", "jwt")}
"""RFC 8693 3: those that can be logged in with."""
_UNTOLD = 60.0
_MARGIN = 60.0
_LONGEST_LIFE = 86_400 * 366


@dataclass(frozen=True, slots=True)
class Issued:
    """A token. `lives` is for how many seconds it may be used for another association, which ends before it does."""

    token: bytes = field(repr=False)
    expires_at: datetime | None
    lives: float


def read_issued(body: bytes, asked: datetime, *, exchanged: bool = False) -> Issued:
    """The token in an answer to a question of that time, or to an exchange. Raises FetchError."""
    try:
        answer = read_object(body)
    except NotJsonError as error:
        raise FetchError(f"its answer: {error}") from None
    token, kind, lasts = (answer.get(name) for name in ("access_token", "token_type", "expires_in"))
    if not isinstance(token, str) or not is_bearer(token.encode()):
        raise FetchError("its answer has no access_token that can be used")
    # RFC 8693 2.2.1: "N_A" for a token that is no access token.
    if not isinstance(kind, str) or kind.lower() not in ("bearer", "n_a" if exchanged else "bearer"):
        raise FetchError("its answer has a token_type other than Bearer")
    if exchanged and answer.get("issued_token_type") not in TOKEN_TYPES.values():
        raise FetchError("its answer has an issued_token_type that is none of a login")
    if "expires_in" in answer:
        if not isinstance(lasts, int | float) or isinstance(lasts, bool) or not 0 < lasts <= _LONGEST_LIFE:
            raise FetchError("its answer has an expires_in that is no number of seconds up to a year")
        ends: datetime | None = asked + timedelta(seconds=lasts)
    else:  # RFC 6749 5.1: "RECOMMENDED"
        ends = unverified_end(token.encode())
    left = _UNTOLD if ends is None else (ends - datetime.now(UTC)).total_seconds()
    if left <= 0:
        raise FetchError("its answer has a token that has expired")
    return Issued(token.encode(), ends, left if ends is None else left - min(_MARGIN, left / 4))
