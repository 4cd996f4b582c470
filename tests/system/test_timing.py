"""The measure itself: it finds a difference that is there, and none where there is none."""

import random
from collections import Counter
from functools import partial

import pytest

from dicomgate.testing import timing
from dicomgate.testing.timing import Measured, auc, measure, timed


def _times(mean: float, count: int = 400, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(mean, 0.004) for _ in range(count)]


@pytest.mark.parametrize(
    ("first", "second", "area"),
    [
        ([2, 3], [0, 1], 1.0),
        ([0, 1], [2, 3], 0.0),
        ([1, 1], [1, 1, 1], 0.5),
        ([1, 3], [2], 0.5),
        ([2, 3, 4], [1, 3], 5 / 6 - 1 / 12),
    ],
)
def test_the_area_under_the_curve(first: list[float], second: list[float], area: float) -> None:
    assert auc(first, second) == pytest.approx(area)
    assert auc(second, first) == pytest.approx(1 - area)


def test_a_difference_is_found_and_comes_first() -> None:
    times = {"a": _times(0.025, seed=1), "b": _times(0.025, seed=2), "slower": _times(0.027, seed=3)}
    *telling, same = Measured(times, {}).comparisons()
    assert {pair.kinds for pair in telling} == {("a", "slower"), ("b", "slower")}
    assert [pair.by_chance for pair in telling] == [False, False]
    assert telling[0].advantage >= telling[1].advantage > 0.1
    assert telling[0].auc < 0.5  # "a" is the quicker one
    assert same.by_chance
    assert same.advantage < 0.05
    assert same.medians == pytest.approx((0.025, 0.025), abs=0.001)


def test_what_the_clock_tells_at_once_is_not_by_chance() -> None:
    [pair] = Measured({"unknown": [0.001, 0.002, 0.003], "known": [0.025, 0.026, 0.027]}, {}).comparisons()
    assert (pair.auc, pair.advantage, pair.by_chance) == (0.0, 0.5, False)


def test_the_confidence_is_that_of_all_pairs_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_RESAMPLES", 60)
    runs = [
        Measured({str(kind): _times(0.025, 60, run * 10 + kind) for kind in range(6)}, {}).comparisons()
        for run in range(40)
    ]
    assert sum(all(pair.by_chance for pair in pairs) for pairs in runs) >= 35


def test_kinds_are_asked_in_turn_and_in_another_order_each_round() -> None:
    asked: list[str] = []

    def ask(kind: str) -> int:
        asked.append(kind)
        return len(asked) % 2

    kinds = {kind: timed(partial(ask, kind)) for kind in "abcd"}
    measured = measure(kinds, 50, warm_up=2)
    rounds = ["".join(asked[start : start + 4]) for start in range(0, len(asked), 4)]
    assert len(rounds) == 52
    assert {"".join(sorted(one)) for one in rounds} == {"abcd"}
    assert len(set(rounds)) > 10
    assert {kind: len(times) for kind, times in measured.times.items()} == dict.fromkeys("abcd", 50)
    assert measured.answers == {kind: {0, 1} for kind in "abcd"}
    assert Counter(asked) == dict.fromkeys("abcd", 52)
