"""What gateways know together: backoffs, known pairs, used credentials.

Three things: how many attempts in a row there were (levers), which pairs of a user and a place got in before (known
pairs), and which credentials were used up (used keys).

Rule 1: an attempt is counted before it is verified. What dies in between, a process or a network, stays counted.
Rule 2: every method ends within the store's deadline (`levers` and `clear`, for an operator, within ten): with its
        answer, or with `StateUnavailable`. That says what is out of reach and never a secret; afterwards the change may
        have been made or not.
Rule 3: who cannot know decides for itself: `first_use` that raised is never a first use.
Rule 4: what others invent takes a bounded place: when it is full, levers with the fewest attempts, and of those the
        oldest, make room, and pairs that got in long ago; for one more used key there is no room. A key is any text,
        hashed or cut by who made it if a stranger can make it long.
Rule 5: the store has one clock for all gateways. A lever is forgotten 30 days after its last attempt, but not one that
        has reached its `most`.

The stores are in `state/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..errors import StateUnavailable

__all__ = ["Backoff", "Count", "Grant", "SharedState", "StateUnavailable"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Counts attempts in a row, and makes the next one wait.

    `free` attempts go ahead at once. Then the next waits `first` seconds, and each one after it twice as long as the
    one before, up to `longest`. After `most` attempts in a row there are none until it is forgotten or cleared, or an
    attempt is given back; None: there is no such end. The numbers are those of the call: a configuration that
    changes them changes what the attempts that were counted mean.
    """

    key: str
    free: int
    first: float
    longest: float
    most: int | None = None

    def wait(self, n: int) -> float:
        """The seconds from the `n`th attempt in a row to the next, however many there may be."""
        return 0.0 if n < self.free else min(self.longest, self.first * 2.0 ** min(n - self.free, 64))


@dataclass(frozen=True, slots=True)
class Grant:
    """Whether an attempt may be verified now.

    `known`: the pair was known, and the levers for known pairs were asked. `held`: "" if it may, and each of the
    levers has counted it; else the key, as it was given, of the lever that holds it longest, and nothing has changed.
    `wait`: the seconds until that lever lets one through; None: not before it is cleared, forgotten or given back to.
    """

    known: bool
    held: str = ""
    wait: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Count:
    """A lever, as an operator sees it: so many attempts in a row, the `last` of them then, none `until` then.

    The times are aware, in UTC; `until` may be over. `locked`: `most` was reached.
    """

    key: str
    n: int
    until: datetime
    last: datetime
    locked: bool


class SharedState(Protocol):
    """The state that gateways share. Every method is atomic, and raises StateUnavailable within its deadline."""

    async def take(self, pair: str, if_known: Sequence[Backoff], otherwise: Sequence[Backoff]) -> Grant:
        """Count an attempt with each of the levers, chosen by whether the pair is known; or with none, if one holds.

        Whoever is let ahead says how it ended: `succeeded`; `refund` if it could not be verified; nothing if the
        credential was wrong. The keys of one call differ.
        """
        ...

    async def refund(self, keys: Sequence[str]) -> None:
        """Count one attempt less with each lever, as if the last had not been: the wait that it began is over too."""
        ...

    async def succeeded(self, pair: str, forget: Sequence[str], refund: Sequence[str]) -> None:
        """The pair is known from now on, for 90 days; forget the levers `forget`, give one back to each of the others.

        A key is in one of the two, not in both.
        """
        ...

    async def first_use(self, key: str, until: datetime) -> bool:
        """True once for each key, whoever asks, until (aware) then and a few minutes more: clocks differ."""
        ...

    async def levers(self) -> list[Count]:
        """All that is counted, most attempts first."""
        ...

    async def clear(self, keys: Sequence[str] | None) -> int:
        """Forget these levers, None: all of them. How many there were. Known pairs and used keys stay."""
        ...

    async def close(self) -> None:
        """Let go of the file or the connections. Nothing else may be called then. Never raises."""
        ...
