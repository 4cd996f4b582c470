"""A verified token's claims -> the user, the groups, the end of the login, the audit's attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dicomgate.kit.inspect import ClaimProblem
from dicomgate.kit.text import is_name, quoted

from .claims import at, values

_MOST_GROUPS = 1000
_TOLD = ("jti", "client_id", "azp")


@dataclass(frozen=True, slots=True)
class Mapper:
    """The claim (dotted path) with the user's name, and those with the groups."""

    user_claim: str
    group_claims: Sequence[str]

    def user(self, claims: Mapping[str, Any]) -> str | ClaimProblem:
        """The user's name, or why there is none."""
        user = at(claims, self.user_claim)
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
