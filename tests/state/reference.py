"""What a store is to answer, written once more as simply as can be: everything in dictionaries, no limit of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomgate.state.protocol import Backoff, Grant, Limits


@dataclass
class Counter:
    n: int
    until: float
    before: float
    last: float
    locked: bool


class Reference:
    """A store, at the time `now`."""

    def __init__(self, limits: Limits, now: int) -> None:
        self.limits = limits
        self.now = now
        self.counted: dict[str, Counter] = {}
        self.known: dict[str, float] = {}
        self.used: dict[str, float] = {}
        self.under_way: dict[str, tuple[int, float]] = {}

    def alive(self) -> dict[str, Counter]:
        oldest = self.now - self.limits.forget_counter
        return {key: it for key, it in self.counted.items() if it.locked or it.last > oldest}

    def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        self.counted = self.alive()
        grant = self.look(subject, known, unknown)
        backoffs = known if grant.known else unknown
        for backoff in backoffs:
            if (it := self.counted.get(backoff.key)) is not None:
                it.until = min(it.until, self.now + seconds(backoff, it.n))
        if grant.held:
            return grant
        for backoff in backoffs:
            it = self.counted.pop(backoff.key, Counter(0, 0, 0, 0, False))
            n = it.n + 1
            locked = backoff.most is not None and n >= backoff.most
            self.counted[backoff.key] = Counter(n, self.now + seconds(backoff, n), it.until, self.now, locked)
            if len(self.under_way) >= self.limits.counters:
                self.under_way = {}
            self.under_way[backoff.key] = self.others(backoff.key) + 1, self.now + self.limits.under_way
        mine = {backoff.key for backoff in backoffs}
        others = [(it.n, it.last, key) for key, it in self.counted.items() if key not in mine]
        for _, _, key in sorted(others)[: max(0, len(self.counted) - self.limits.counters)]:
            del self.counted[key]
        return grant

    def look(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        is_known = self.known.get(subject, 0) > self.now
        holding = [
            (wait, backoff.key) for backoff in (known if is_known else unknown) if (wait := self.wait(backoff)) > 0
        ]
        longest = max((wait for wait, _ in holding), default=0)
        held = next((key for wait, key in holding if wait == longest), "")
        return Grant(is_known, held, None if longest == float("inf") else longest, self.others(held))

    def others(self, key: str) -> int:
        n, until = self.under_way.get(key, (0, 0))
        return n if self.now < until <= self.now + self.limits.under_way else 0

    def ended(self, keys: Sequence[str]) -> None:
        for key in keys:
            if n := self.others(key):
                self.under_way[key] = n - 1, self.under_way[key][1]
            else:
                self.under_way.pop(key, None)

    def wait(self, backoff: Backoff) -> float:
        it = self.alive().get(backoff.key)
        if it is None:
            return 0
        locked = backoff.most is not None and it.n >= backoff.most
        return float("inf") if locked else min(it.until - self.now, seconds(backoff, it.n))

    def refund(self, keys: Sequence[str]) -> None:
        self.undo(keys)
        self.ended(keys)

    def undo(self, keys: Sequence[str]) -> None:
        for key in keys:
            it = self.alive().get(key)
            if it is not None and it.n > 1:
                self.counted[key] = Counter(it.n - 1, it.before, it.before, it.last, False)
            else:
                self.counted.pop(key, None)

    def succeeded(self, subject: str, forget: Sequence[str], refund: Sequence[str], ended: Sequence[str]) -> None:
        # What is over is swept here, and stays away when the clock is set back.
        self.known = {key: until for key, until in self.known.items() if until > self.now}
        self.known[subject] = self.now + self.limits.forget_known
        for _, other in sorted((until, key) for key, until in self.known.items())[: -self.limits.known]:
            del self.known[other]
        self.clear(forget)
        self.undo(refund)
        self.ended(ended)

    def first_use(self, key: str, until: int) -> bool | None:
        self.used = {key: until for key, until in self.used.items() if until > self.now}
        if first := self.unused(key, until):
            self.used[key] = max(self.now, until) + self.limits.skew
        return first

    def unused(self, key: str, until: int) -> bool | None:
        used = [key for key, until in self.used.items() if until > self.now]
        if key in used:
            return False
        return True if len(used) < self.limits.used else None

    def counters(self) -> dict[str, tuple[int, float, float, bool]]:
        return {key: (it.n, it.until, it.last, it.locked) for key, it in self.alive().items()}

    def clear(self, keys: Sequence[str] | None) -> int:
        return sum(self.counted.pop(key, None) is not None for key in (list(self.counted) if keys is None else keys))


def seconds(backoff: Backoff, n: int) -> float:
    """From the `n`th attempt to the next: the first wait, then twice as long, and twice as long again."""
    if n < backoff.free:
        return 0
    wait = backoff.first
    for _ in range(n - backoff.free):
        wait = min(2 * wait, backoff.longest)
    return min(wait, backoff.longest)
