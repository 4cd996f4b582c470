"""Samples of interleaved rounds -> medians, ratios within a round, spreads, and which bars they reach."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Literal

GATE = "dicomgate"


@dataclass(frozen=True, slots=True)
class Options:
    """How thoroughly to measure. `quick` shows that everything works; its figures are worth nothing."""

    rounds: int = 5
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One contestant in one round; `cpu` is what its processes took for one unit of work, None if it has none."""

    figure: float
    cpu: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """What dicomgate has to reach: a limit for its figure or CPU, or for the ratio to that of another contestant."""

    of: Literal["figure", "cpu"] = "figure"
    against: str = ""
    least: float | None = None
    most: float | None = None
    contestant: str = GATE


@dataclass(frozen=True, slots=True)
class Judgement:
    """A bar in words, the value that was measured, and whether it is reached; None if it could not be measured."""

    words: str
    value: float | None
    reached: bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One table: the samples of each contestant in each round. `references` are those that ratios are given to."""

    title: str
    unit: str
    rounds: Sequence[Mapping[str, Sample]]
    references: tuple[str, ...] = ()
    cpu_unit: str = ""
    bars: tuple[Bar, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def contestants(self) -> list[str]:
        """Who was measured."""
        return list(self.rounds[0]) if self.rounds else []

    def values(self, name: str, of: str = "figure") -> list[float]:
        """The figure or the CPU of each round that has one."""
        found = [getattr(taken[name], of) for taken in self.rounds if name in taken]
        return [value for value in found if value is not None]

    def median(self, name: str, of: str = "figure") -> float | None:
        """The median of the rounds."""
        values = self.values(name, of)
        return median(values) if values else None

    def spread(self, name: str) -> tuple[float, float]:
        """The least and the greatest figure."""
        return min(self.values(name)), max(self.values(name))

    def ratio(self, name: str, reference: str, of: str = "figure") -> float | None:
        """The median of the ratios within each round."""
        ratios = []
        for taken in self.rounds:
            if name in taken and reference in taken:
                value, other = getattr(taken[name], of), getattr(taken[reference], of)
                if value is not None and other:
                    ratios.append(value / other)
        return median(ratios) if ratios else None

    def judge(self, bar: Bar) -> Judgement:
        """Whether the bar is reached."""
        if bar.against:
            value = self.ratio(bar.contestant, bar.against, bar.of)
            unit = f"times {bar.against}"
        else:
            value = self.median(bar.contestant, bar.of)
            unit = self.unit if bar.of == "figure" else self.cpu_unit
        limits = []
        if bar.least is not None:
            limits.append(f"at least {bar.least:g}")
        if bar.most is not None:
            limits.append(f"at most {bar.most:g}")
        whose = "" if bar.contestant == GATE else f"{bar.contestant}: "
        words = f"{whose}{'CPU ' if bar.of == 'cpu' else ''}{' and '.join(limits)} {unit}"
        if value is None:
            return Judgement(words, None, None)
        reached = (bar.least is None or value >= bar.least) and (bar.most is None or value <= bar.most)
        return Judgement(words, value, reached)


def interleave(contestants: Mapping[str, Callable[[], Sample]], rounds: int) -> list[dict[str, Sample]]:
    """Measure every contestant once a round, in an order that is random in each."""

    def one(take: Callable[[], Sample]) -> dict[str, Sample]:
        return {"": take()}

    return interleave_several({name: partial(one, take) for name, take in contestants.items()}, rounds)[""]


def interleave_several(
    contestants: Mapping[str, Callable[[], Mapping[str, Sample]]], rounds: int
) -> dict[str, list[dict[str, Sample]]]:
    """The same where a turn has several figures, which are by their titles; a contestant may lack some of them."""
    taken: dict[str, list[dict[str, Sample]]] = {}
    for number in range(rounds):
        order = random.sample(list(contestants), len(contestants))
        turns = {name: contestants[name]() for name in order}
        for title in dict.fromkeys(title for turn in turns.values() for title in turn):
            samples = {name: turns[name][title] for name in contestants if title in turns[name]}
            taken.setdefault(title, []).append(samples)
            figures = ", ".join(f"{name} {short(sample.figure)}" for name, sample in samples.items())
            tell(f"  round {number + 1}: {f'{title}: ' if title else ''}{figures}")
    return taken


def tell(line: str) -> None:
    """Say how far it has come, to standard error: the results go to standard output."""
    print(line, file=sys.stderr, flush=True)


def short(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 or not value else f"{value:.6f}"
