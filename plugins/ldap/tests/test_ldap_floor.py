from __future__ import annotations

from types import SimpleNamespace

import pytest

from dicomgate_ldap import floor
from dicomgate_ldap.floor import Floor


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(floor, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_it_is_above_the_slowest_verification(clock: SimpleNamespace) -> None:
    it = Floor(most=10.0)
    assert it.seconds == 0.1
    it.saw(0.01)
    assert it.seconds == 0.1
    it.saw(0.4)
    it.saw(0.2)
    assert it.seconds == pytest.approx(0.5)


def test_a_refusal_waits_for_the_rest_of_it_and_a_little_at_random(clock: SimpleNamespace) -> None:
    it = Floor(most=10.0)
    it.saw(0.4)
    for took, rest in ((0.1, 0.4), (0.5, 0.0), (0.9, 0.0)):
        waits = {it.wait_after(took) for _ in range(50)}
        assert all(rest <= wait + 1e-9 <= rest + 0.011 for wait in waits)
        assert len(waits) > 25


def test_it_ends_somewhere(clock: SimpleNamespace) -> None:
    it = Floor(most=0.75)
    it.saw(5.0)
    assert it.seconds == 0.75
    assert Floor(most=0.05).seconds == 0.05


def test_it_forgets_after_an_hour_and_not_before(clock: SimpleNamespace) -> None:
    """Nor sooner for many that are quick: whoever can make them must not lower it."""
    it = Floor(most=10.0)
    it.saw(0.8)
    for _ in range(3600):
        clock.now += 1
        it.saw(0.2)
        assert it.seconds == pytest.approx(1.0)
    for _ in range(7200):
        clock.now += 1
        it.saw(0.2)
    assert it.seconds == pytest.approx(0.25)
