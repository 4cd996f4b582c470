"""Whether someone who measures how long answers take can tell kinds of questions apart.

Law: kinds are asked in turn, in an order drawn anew for each round. What the machine does besides hits all of them
alike, so what is measured differs by the kind or by chance.

The measure is the area under the ROC curve (AUC): how often, of one answer of each of two kinds, the one of the first
kind took longer. 0.5 is what guessing reaches, 0 and 1 are what one look at the clock tells.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist, median, stdev
from time import perf_counter
from typing import TypeVar

from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.raw_client import RawClient, request

_RESAMPLES = 300

_Answer = TypeVar("_Answer")
Question = Callable[[], tuple[float, _Answer]]
"""Asks once; returns how long the answer took, in seconds, and the answer."""


def timed(ask: Callable[[], _Answer]) -> Question[_Answer]:
    """Make a question of a call, all of which is measured."""

    def question() -> tuple[float, _Answer]:
        start = perf_counter()
        answer = ask()
        return perf_counter() - start, answer

    return question


def over_the_wire(address: Address, *sub_items: bytes) -> Question[bytes]:
    """Make a question of a login that is refused: from the last byte of the A-ASSOCIATE-RQ to the answer, a PDU."""
    asked = request(*sub_items)

    def question() -> tuple[float, bytes]:
        with RawClient(address) as client:
            return timed(lambda: client.ask(asked))()

    return question


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two kinds, their AUC with its confidence interval, and their median times in seconds."""

    kinds: tuple[str, str]
    auc: float
    interval: tuple[float, float]
    medians: tuple[float, float]

    @property
    def advantage(self) -> float:
        """How far from guessing: 0 to 0.5."""
        return abs(self.auc - 0.5)

    @property
    def by_chance(self) -> bool:
        """True if the interval includes guessing."""
        return self.interval[0] <= 0.5 <= self.interval[1]

    def __str__(self) -> str:
        low, high = self.interval
        first, second = (f"{kind} ({1000 * took:.2f} ms)" for kind, took in zip(self.kinds, self.medians, strict=True))
        return f"{first}, {second}: AUC {self.auc:.3f} [{low:.3f}, {high:.3f}]"


@dataclass(frozen=True, slots=True)
class Measured:
    """Of each kind all times, in seconds, and the different answers."""

    times: dict[str, list[float]]
    answers: dict[str, set[object]]

    def comparisons(self, confidence: float = 0.95) -> list[Comparison]:
        """Return every pair of kinds, the most telling first.

        The confidence is that of all intervals together (Bonferroni): where nothing can be told, every one of them
        includes 0.5 in so many of all runs. Intervals of 95 % each would miss it in every second run of six kinds.
        """
        pairs = list(combinations(self.times, 2))
        width = NormalDist().inv_cdf(1 - (1 - confidence) / 2 / len(pairs))
        compared = []
        for pair in pairs:
            first, second = (self.times[kind] for kind in pair)
            area, margin = auc(first, second), width * _standard_error(first, second)
            compared.append(Comparison(pair, area, (area - margin, area + margin), (median(first), median(second))))
        return sorted(compared, key=lambda comparison: comparison.advantage, reverse=True)


def measure(kinds: Mapping[str, Question[_Answer]], each: int, *, warm_up: int = 3) -> Measured:
    """Ask each kind so many times, one question after the other, and first some that do not count."""
    chance = random.Random()
    measured = Measured({kind: [] for kind in kinds}, {kind: set() for kind in kinds})
    for round_ in range(-warm_up, each):
        for kind in chance.sample(list(kinds), len(kinds)):
            took, answer = kinds[kind]()
            measured.answers[kind].add(answer)
            if round_ >= 0:
                measured.times[kind].append(took)
    return measured


def auc(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how often one of `first` is larger than one of `second`; the same counts half."""
    ordered = sorted(second)
    larger = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in first) / 2
    return larger / (len(first) * len(second))


def _standard_error(first: Sequence[float], second: Sequence[float]) -> float:
    """The scatter of the AUC, by the bootstrap: of samples drawn from the two, with repetition."""
    chance = random.Random(1)
    return stdev(
        auc(chance.choices(first, k=len(first)), chance.choices(second, k=len(second))) for _ in range(_RESAMPLES)
    )
