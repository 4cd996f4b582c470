"""What gateways share, as a protocol: counters of attempts, known subjects, used credentials.

Rule 1: an attempt is counted before it is verified. If a process or a network fails in between, it stays counted.
Rule 2: every method ends within the store's deadline (`counters` and `clear`, for an operator, within ten deadlines):
        with its answer or with `StateUnavailable`. That error says what is out of reach and never quotes a secret; the
        change may or may not have been made.
Rule 3: on `StateUnavailable` the caller must assume the worst: `first_use` that raised is never a first use.
Rule 4: what strangers can cause takes bounded room. When it is full, the counters with the fewest attempts are dropped,
        the oldest first, and the subjects whose login is oldest; used keys are never dropped, and a new one is refused.
        A key is any text; callers hash or cut what a stranger can make long.
Rule 5: all gateways use the store's clock. A counter is forgotten 30 days after its last attempt, unless it is locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..errors import StateUnavailable

__all__ = ["Backoff", "Count", "Grant", "Limits", "SharedState", "StateUnavailable"]

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """How one counter makes attempts wait.

    `free` attempts in a row are let through at once. Then the next waits `first` seconds, and each further one twice as
    long as the one before, up to `longest`. After `most` attempts in a row the counter is locked: none is let through
    until it is forgotten or cleared, or an attempt is refunded. None: it never locks. The numbers come with each call,
    so a changed configuration also applies to attempts that were counted before.
    """

    key: str
    free: int
    first: float
    longest: float
    most: int | None = None

    def wait(self, n: int) -> float:
        """The seconds from the `n`th attempt in a row to the next, however large `n` is."""
        return 0.0 if n < self.free else min(self.longest, self.first * 2.0 ** min(n - self.free, 64))


@dataclass(frozen=True, slots=True)
class Grant:
    """Whether an attempt may be verified now.

    `known`: the subject is known, and its backoffs for known subjects applied. `held`: "" if the attempt may be
    verified, and then each counter has counted it; else the key of the counter with the longest wait, and nothing has
    changed. `wait`: the seconds until that counter lets an attempt through; None if it is locked. `under_way`: how many
    attempts that this counter has counted may still be verified, at any gateway.
    """

    known: bool
    held: str = ""
    wait: float | None = 0.0
    under_way: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """A counter as an operator sees it: `n` attempts in a row, the time of the `last`, and no further one `until` then.

    The times are aware, in UTC; `until` may be past. `locked`: `most` was reached.
    """

    key: str
    n: int
    until: datetime
    last: datetime
    locked: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a store keeps, for how long, and how long it may take. Times are in seconds.

    `listing_deadlines`: how many deadlines a walk through all counters may take. `skew`: used keys are kept so much
    longer than their credential lives, because the clocks of gateways differ. `sweep`: expired rows dropped at a time.
    `under_way`: for so long an attempt may be verified; a caller that has not said by then how it ended will not.
    """

    deadline: float = 1.0
    listing_deadlines: int = 10
    counters: int = 100_000
    known: int = 100_000
    used: int = 1_000_000
    forget_counter: float = 30 * _DAY
    forget_known: float = 90 * _DAY
    skew: float = 300.0
    sweep: int = 100
    under_way: float = 15.0


class SharedState(Protocol):
    """The state that gateways share. Every method is atomic, and raises StateUnavailable within its deadline."""

    async def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """Count an attempt, unless one of its counters holds it: those in `known` if the subject is known.

        Either each of these counters has counted the attempt, or none has.
        A caller whose attempt was counted must say how it ended: `succeeded`; `refund` if it could not be verified;
        `ended` in all other cases. The keys of one call differ.
        """
        ...

    async def look(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """What `take` would answer now; nothing is counted."""
        ...

    async def refund(self, keys: Sequence[str]) -> None:
        """Undo the last attempt of each counter, and the wait that it began."""
        ...

    async def ended(self, keys: Sequence[str]) -> None:
        """The attempt that these counters have counted is over, and stays counted: others stop waiting for it."""
        ...

    async def succeeded(
        self, subject: str, forget: Sequence[str], refund: Sequence[str], ended: Sequence[str] = ()
    ) -> None:
        """The subject is known from now on, for 90 days; forget the counters in `forget`, refund those in `refund`.

        No key is in both. `ended`: the counters that have counted the attempt.
        """
        ...

    async def first_use(self, key: str, until: datetime, made: datetime | None = None) -> bool:
        """True once for each key, for all gateways together, until `until` (aware) and five minutes more.

        `made` (aware): when the credential was made, if that is known. A store that has lost what was used before, and
        knows it, raises StateUnavailable for a credential that may be older than the loss.
        """
        ...

    async def unused(self, key: str, until: datetime, made: datetime | None = None) -> bool:
        """What `first_use` would answer now, or raise; nothing is used up."""
        ...

    async def counters(self) -> list[Count]:
        """All counters, most attempts first."""
        ...

    async def clear(self, keys: Sequence[str] | None) -> int:
        """Forget these counters (None: all), and return how many there were. Known subjects and used keys stay."""
        ...

    async def close(self) -> None:
        """Close the file or the connections. Never raises. No other method may be called afterwards."""
        ...
