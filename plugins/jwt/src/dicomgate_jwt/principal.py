"""A verified token's claims -> the user, the groups, the end, and what the audit shall know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .claims import Problem, at, is_name, shown, values

_MOST_GROUPS = 1000
_TOLD = ("jti", "client_id", "azp")


@dataclass(frozen=True, slots=True)
class Mapper:
    """Which claims say who somebody is: one for the user, any number for the groups."""

    user_claim: str
    group_claims: Sequence[str]

    def user(self, claims: Mapping[str, Any]) -> str | Problem:
        """The user's name; or why there is none."""
        user = at(claims, self.user_claim)
        return user if is_name(user) else Problem(self.user_claim, f"{shown(user)} cannot be a user's name")

    def groups(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The groups: the texts among the values of the claims, and nothing made out of other values."""
        found = [value for path in self.group_claims for value in values(claims, path) if is_name(value)]
        return frozenset(found[:_MOST_GROUPS])


def end(moment: float, leeway: timedelta) -> datetime:
    """When a login with a token that expires then ends."""
    ends = datetime.fromtimestamp(moment, UTC)
    # Behind its end it was accepted for the sake of a clock that goes wrong, and the login ends with that.
    return ends if ends > datetime.now(UTC) else ends + leeway


def told(claims: Mapping[str, Any]) -> dict[str, str]:
    """For the audit: which token it was, and which client it was issued to; neither is a secret."""
    return {name: claims[name] for name in _TOLD if is_name(claims.get(name))}
