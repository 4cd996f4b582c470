from __future__ import annotations

import dataclasses
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from dicomgate.kit import equal_time
from dicomgate_passcode import Cost, DummyHashes, dummy_hash, read_cost
from dicomgate_sql.equal_time import EqualTime

CHEAP = Cost("argon2id", 1, memory_kib=8, lanes=1)
CHEAPER = Cost("bcrypt", 4)
DEAR = Cost("bcrypt", 6)


@pytest.fixture
def floors(monkeypatch: pytest.MonkeyPatch) -> dict[Cost, float]:
    """The floor of each cost, instead of what would be measured."""
    floors = {CHEAP: 0.2, CHEAPER: 0.1, DEAR: 0.3}
    make = dummy_hash._make
    monkeypatch.setattr(dummy_hash, "_make", lambda cost: dataclasses.replace(make(cost), floor=floors[cost]))
    return floors


def test_the_costliest_hash_that_was_seen_becomes_the_dummy(
    floors: dict[Cost, float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dicomgate_sql")
    times = EqualTime()
    assert read_cost(times.dummy.hash) == CHEAP
    for cost, costliest in ((CHEAPER, CHEAP), (DEAR, DEAR), (CHEAP, DEAR)):
        assert times.is_new(cost)
        assert not times.is_new(cost)
        times.learn()
        assert read_cost(times.dummy.hash) == costliest
    (record,) = caplog.records
    assert record.getMessage() == "sql: there are hashes of bcrypt: a login takes 300 ms"


def test_the_floor_covers_the_dummy_and_the_usual_look_up(
    floors: dict[Cost, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equal_time, "time", SimpleNamespace(monotonic=lambda: 100.0))
    times = EqualTime()
    assert 0.2 <= times.seconds_left(100.0) <= 0.202
    assert 0.1 <= times.seconds_left(99.9) <= 0.1021
    assert times.seconds_left(90.0) == 0.0
    for _ in range(200):
        times.looked_up(0.1)
    assert 0.2 + 0.15 - 1e-4 <= times.seconds_left(100.0) <= 0.2 + 0.15 + 0.002
    times.looked_up(1.0)  # a single slow one makes nobody else slow
    assert times.seconds_left(100.0) < 0.45
    for _ in range(200):
        times.looked_up(0.0)
    assert times.seconds_left(100.0) <= 0.2021


def test_learning_is_thread_safe(floors: dict[Cost, float], monkeypatch: pytest.MonkeyPatch) -> None:
    times = EqualTime()
    inside = 0
    costliest = DummyHashes.costliest

    def watched(self: DummyHashes, costs: frozenset[Cost]) -> dummy_hash.DummyHash:
        nonlocal inside
        inside += 1
        assert inside == 1
        time.sleep(0.01)
        inside -= 1
        return costliest(self, costs)

    monkeypatch.setattr(DummyHashes, "costliest", watched)
    with ThreadPoolExecutor(4) as pool:
        for learnt in [pool.submit(times.learn) for _ in range(8)]:
            learnt.result()
