"""How long an answer waits: at least the floor, filled up and not added, with a little noise."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dicomgate.kit import equal_time
from dicomgate.kit.equal_time import BLUR, MeasuredFloor, seconds_left


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 100.0 by the clock."""
    monkeypatch.setattr(equal_time, "time", SimpleNamespace(monotonic=lambda: 100.0))


@pytest.mark.parametrize(("start", "floor", "least"), [(100.0, 0.3, 0.3), (99.9, 0.3, 0.2), (99.0, 1.5, 0.5)])
def test_what_is_left_of_the_floor(start: float, floor: float, least: float) -> None:
    for _ in range(50):
        assert least - 1e-9 <= seconds_left(start, floor) <= least + BLUR


@pytest.mark.parametrize("start", [99.69, 90.0])
def test_nothing_is_left_after_the_floor(start: float) -> None:
    assert seconds_left(start, 0.3) == 0.0


def test_the_blur_is_random_and_as_long_as_it_is_told() -> None:
    assert len({seconds_left(100.0, 0.3) for _ in range(50)}) > 1
    assert max(seconds_left(100.0, 0.3, blur=0.1) for _ in range(200)) > 0.3 + BLUR


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(equal_time, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_measured_floor_is_above_the_slowest_verification(clock: SimpleNamespace) -> None:
    floor = MeasuredFloor(most=10.0)
    for seen, seconds in ((0.01, 0.1), (0.4, 0.5), (0.2, 0.5)):
        floor.saw(seen)
        assert floor.seconds == pytest.approx(seconds)


def test_a_measured_floor_has_a_limit(clock: SimpleNamespace) -> None:
    floor = MeasuredFloor(most=0.75)
    floor.saw(5.0)
    assert floor.seconds == 0.75
    assert MeasuredFloor(most=0.05).seconds == 0.05


def test_a_measured_floor_forgets_after_an_hour_and_not_before(clock: SimpleNamespace) -> None:
    """Nor sooner after many quick verifications: those who can cause them must not lower the floor."""
    floor = MeasuredFloor(most=10.0)
    floor.saw(0.8)
    for _ in range(3600):
        clock.now += 1
        floor.saw(0.2)
        assert floor.seconds == pytest.approx(1.0)
    for _ in range(7200):
        clock.now += 1
        floor.saw(0.2)
    assert floor.seconds == pytest.approx(0.25)
