"""Refusals that come in numbers: the first of a kind is told at once, the others are counted.

Without this, a client that sends nonsense fast enough would fill the spool, and end all logins where the audit is
required.
Each wrong credential is told: the throttle lets only a few of them through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from ..events.events import ReasonClass, Refused

MINUTE = 60.0
_MOST_KINDS = 1_000
"""So many kinds are told apart in a minute; the others are counted by their class alone."""

_Kind: TypeAlias = tuple[str, ReasonClass, str | None]


class Floods:
    """Counts refusals. Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._counted: dict[_Kind, tuple[Refused, int]] = {}
        self._ends = 0.0

    def passes(self, event: Refused, now: float) -> bool:
        """True if it is to be told by itself. `due` must be called at least once a minute."""
        facts, kind = event.facts, event.reason_class
        if kind is ReasonClass.WRONG_CREDENTIAL or facts.user is not None:
            return True
        if not self._counted:
            self._ends = now + MINUTE
        key: _Kind = facts.address, kind, facts.claimed
        if key not in self._counted and len(self._counted) >= _MOST_KINDS:
            key = "", kind, None
        _, count = self._counted.get(key, (event, -1))
        self._counted[key] = event, count + 1
        return count < 0

    def due(self, now: float, *, at_the_end: bool = False) -> Iterator[tuple[Refused, int]]:
        """Once the minute is over: the last refusal of each kind, and how many it stands for beside itself."""
        if self._counted and (at_the_end or now >= self._ends):
            counted, self._counted = self._counted, {}
            yield from ((event, count - 1) for event, count in counted.values() if count)
