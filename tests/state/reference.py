"""What a store is to answer, written once more as simply as can be: everything in dictionaries, no limit of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicomgate.state.protocol import Backoff, Grant
from dicomgate.state.retention import Limits


@dataclass
class Charge:
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
        self.counted: dict[str, Charge] = {}
        self.pairs: dict[str, float] = {}
        self.used: dict[str, float] = {}

    def alive(self) -> dict[str, Charge]:
        oldest = self.now - self.limits.forget_lever
        return {key: it for key, it in self.counted.items() if it.locked or it.last > oldest}

    def take(self, pair: str, if_known: Sequence[Backoff], otherwise: Sequence[Backoff]) -> Grant:
        self.counted = self.alive()
        known = self.pairs.get(pair, 0) > self.now
        levers = if_known if known else otherwise
        for lever in levers:
            if (it := self.counted.get(lever.key)) is not None:
                it.until = min(it.until, self.now + lever.longest)
        holding = [(wait, lever.key) for lever in levers if (wait := self.wait(lever)) > 0]
        if holding:
            longest = max(wait for wait, _ in holding)
            held = next(key for wait, key in holding if wait == longest)
            return Grant(known, held, None if longest == float("inf") else longest)
        for lever in levers:
            it = self.counted.pop(lever.key, Charge(0, 0, 0, 0, False))
            n = it.n + 1
            locked = lever.most is not None and n >= lever.most
            self.counted[lever.key] = Charge(n, self.now + seconds(lever, n), it.until, self.now, locked)
        mine = {lever.key for lever in levers}
        others = [(it.n, it.last, key) for key, it in self.counted.items() if key not in mine]
        for _, _, key in sorted(others)[: max(0, len(self.counted) - self.limits.levers)]:
            del self.counted[key]
        return Grant(known)

    def wait(self, lever: Backoff) -> float:
        it = self.counted.get(lever.key)
        if it is None:
            return 0
        return (
            float("inf") if lever.most is not None and it.n >= lever.most else min(it.until - self.now, lever.longest)
        )

    def refund(self, keys: Sequence[str]) -> None:
        for key in keys:
            it = self.alive().get(key)
            if it is not None and it.n > 1:
                self.counted[key] = Charge(it.n - 1, it.before, it.before, it.last, False)
            else:
                self.counted.pop(key, None)

    def succeeded(self, pair: str, forget: Sequence[str], refund: Sequence[str]) -> None:
        self.pairs[pair] = self.now + self.limits.forget_pair
        for _, other in sorted((until, pair) for pair, until in self.pairs.items())[: -self.limits.pairs]:
            del self.pairs[other]
        self.clear(forget)
        self.refund(refund)

    def first_use(self, key: str, until: int) -> bool | None:
        self.used = {key: until for key, until in self.used.items() if until > self.now}
        if key in self.used:
            return False
        if len(self.used) >= self.limits.used:
            return None
        self.used[key] = max(self.now, until) + self.limits.skew
        return True

    def levers(self) -> dict[str, tuple[int, float, float, bool]]:
        return {key: (it.n, it.until, it.last, it.locked) for key, it in self.alive().items()}

    def clear(self, keys: Sequence[str] | None) -> int:
        return sum(self.counted.pop(key, None) is not None for key in (list(self.counted) if keys is None else keys))


def seconds(lever: Backoff, n: int) -> float:
    """From the `n`th attempt to the next: the first wait, then twice as long, and twice as long again."""
    if n < lever.free:
        return 0
    wait = lever.first
    for _ in range(n - lever.free):
        wait = min(2 * wait, lever.longest)
    return min(wait, lever.longest)
