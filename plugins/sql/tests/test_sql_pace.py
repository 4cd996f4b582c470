from __future__ import annotations

import logging
import time
from types import SimpleNamespace

import pytest

from dicomgate.kit import equal_time
from dicomgate_passcode import Cost, DummyHashes, dummy_hash, read_cost
from dicomgate_sql.pace import Pace

CHEAP = Cost("argon2id", 1, memory_kib=8, lanes=1)
CHEAPER = Cost("bcrypt", 4)
DEAR = Cost("bcrypt", 6)


@pytest.fixture
def floors(monkeypatch: pytest.MonkeyPatch) -> dict[Cost, float]:
    """The floor of each cost, instead of what would be measured."""
    floors = {CHEAP: 0.2, CHEAPER: 0.1, DEAR: 0.3}
    make = dummy_hash._make

    def made(cost: Cost) -> dummy_hash.DummyHash:
        return dummy_hash.DummyHash(cost.scheme, make(cost).hash, floors[cost])

    monkeypatch.setattr(dummy_hash, "_make", made)
    return floors


def test_the_costliest_hash_that_was_seen_becomes_the_dummy(
    floors: dict[Cost, float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dicomgate_sql")
    pace = Pace()
    assert read_cost(pace.dummy.hash) == CHEAP
    for cost, costliest in ((CHEAPER, CHEAP), (DEAR, DEAR), (CHEAP, DEAR)):
        assert pace.is_new(cost)
        assert not pace.is_new(cost)
        pace.learn()
        assert read_cost(pace.dummy.hash) == costliest
    assert [record.getMessage() for record in caplog.records] == [
        "sql: there are hashes of bcrypt: a login takes 300 ms"
    ]


def test_the_floor_covers_the_dummy_and_the_usual_look_up(
    floors: dict[Cost, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equal_time, "time", SimpleNamespace(monotonic=lambda: 100.0))
    pace = Pace()
    assert 0.2 <= pace.seconds_left(100.0) <= 0.202
    assert 0.1 <= pace.seconds_left(99.9) <= 0.1021
    assert pace.seconds_left(90.0) == 0.0
    for _ in range(200):
        pace.looked_up(0.1)
    assert 0.2 + 0.15 - 1e-4 <= pace.seconds_left(100.0) <= 0.2 + 0.15 + 0.002
    pace.looked_up(1.0)  # a single slow one makes nobody else slow
    assert pace.seconds_left(100.0) < 0.45
    for _ in range(200):
        pace.looked_up(0.0)
    assert pace.seconds_left(100.0) <= 0.2021


def test_learning_is_thread_safe(floors: dict[Cost, float], monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    pace = Pace()
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
        for learnt in [pool.submit(pace.learn) for _ in range(8)]:
            learnt.result()
