"""What holds for both stores on the real clock: bounds, many at once, ends, and what an operator sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dicomgate.state.protocol import Backoff, Count, Grant, Limits, SharedState, StateUnavailable

pytestmark = pytest.mark.anyio
PATIENT = Limits(deadline=20)  # this machine may be busy
SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
async def state(opened: Any, anyio_backend: str) -> AsyncIterator[SharedState]:
    """A store that is empty, on the real clock."""
    state = opened(PATIENT)
    yield state
    await state.close()


def backoff(key: str, free: int = 5, first: float = 30, longest: float = 3600, most: int | None = None) -> Backoff:
    return Backoff(key, free, first, longest, most)


async def test_the_waits_are_those_of_the_backoff(clocked: Any) -> None:
    clock, open_empty = clocked
    state = open_empty(replace(PATIENT, under_way=0))
    alice = backoff("account:alice", free=2, first=30, longest=50, most=4)
    assert [await state.take("", (), [alice]) for _ in range(2)] == [Grant(False)] * 2
    assert await state.take("", (), [backoff("other"), alice]) == Grant(False, "account:alice", 30)
    clock.set(clock.now + 29)
    assert await state.take("", (), [alice]) == Grant(False, "account:alice", 1)
    clock.set(clock.now + 1)
    assert await state.take("", (), [alice]) == Grant(False)
    assert await state.take("", (), [alice]) == Grant(False, "account:alice", 50)
    clock.set(clock.now + 50)
    assert await state.take("", (), [alice]) == Grant(False)
    assert await state.take("", (), [alice]) == Grant(False, "account:alice", None)
    (count,) = await state.counters()  # "other" was not counted while it was held
    now = datetime.fromtimestamp(clock.now, UTC)
    assert count == Count("account:alice", 4, now + timedelta(seconds=50), now, locked=True)
    assert await state.clear(["account:alice", "account:bob"]) == 1
    assert await state.take("", (), [alice]) == Grant(False)
    await state.close()


async def test_a_clock_that_was_ahead_makes_nobody_wait(clocked: Any) -> None:
    clock, open_empty = clocked
    state = open_empty(PATIENT)
    free, waiting = backoff("source:a", free=5), backoff("account:alice", free=1, first=30)
    right = clock.now
    clock.set(right + 7200)
    assert await state.take("", (), [free, waiting]) == Grant(False)
    clock.set(right)
    assert await state.take("", (), [free]) == Grant(False)
    held = await state.take("", (), [waiting])
    assert (held.held, held.wait) == ("account:alice", 30)
    await state.close()


async def test_waits_are_numbers_after_more_attempts_than_there_are_doublings(state: SharedState) -> None:
    backoffs = [backoff("source:a", free=0, first=1e-9, longest=1e-9), backoff("source:b", free=0, first=0)]
    for _ in range(1100):
        assert not (await state.take("", (), backoffs)).held
    assert [count.n for count in await state.counters()] == [1100, 1100]


async def test_a_subject_that_logged_in_has_counters_of_its_own(state: SharedState) -> None:
    known, unknown, source = backoff("known:alice"), backoff("account:alice", free=1), backoff("source:a", free=9)
    assert not (await state.take("alice@a", [known], [unknown, source])).known
    await state.succeeded("alice@a", ["account:alice"], ["source:a"])
    assert await state.counters() == []
    assert await state.take("alice@a", [known], [unknown, source]) == Grant(True)
    await state.take("alice@b", [known], [unknown, source])
    assert await state.take("alice@b", [known], [unknown, source]) != Grant(False)
    assert await state.take("alice@a", [known], [unknown, source]) == Grant(True)
    assert await state.clear(None) == 3
    assert (await state.take("alice@a", [known], [unknown, source])).known  # it is not a counter


async def test_a_flood_of_invented_names_drives_out_itself(opened: Any) -> None:
    state = opened(Limits(deadline=20, counters=50))
    for _ in range(3):
        await state.take("", (), [backoff("account:victim", free=3)])
    for start in range(0, 400, 50):
        names = range(start, start + 50)
        guesses = ([backoff(f"account:{name}"), backoff("source:a", 9999)] for name in names)
        await asyncio.gather(*(state.take("", (), guess) for guess in guesses))
        assert len(await state.counters()) == 50
    assert (await state.take("", (), [backoff("account:victim", free=3)])).held
    counts = await state.counters()
    assert [count.key for count in counts[:2]] == ["source:a", "account:victim"]
    assert {count.key for count in counts[2:]} <= {f"account:{name}" for name in range(350, 400)}
    # One that comes when all are full is counted nevertheless.
    held = [(await state.take("", (), [backoff("account:bob", 2)])).held for _ in range(3)]
    assert held == ["", "", "account:bob"]
    await state.close()


async def test_a_flood_of_subjects_drives_out_the_oldest(opened: Any) -> None:
    state = opened(Limits(deadline=20, known=3))
    for name in "abcd":
        await state.succeeded(name, (), ())
    assert [(await state.take(name, (), ())).known for name in "abcd"] == [False, True, True, True]
    await state.close()


async def test_when_there_is_no_room_for_a_used_key_nobody_gets_in_by_one(clocked: Any) -> None:
    clock, open_empty = clocked
    end = datetime.fromtimestamp(clock.now + 60, UTC)
    state = open_empty(Limits(deadline=20, used=20))
    assert all(await asyncio.gather(*(state.first_use(f"ticket {number}", end) for number in range(20))))
    with pytest.raises(StateUnavailable, match="no room for one more used key"):
        await state.first_use("another", end)
    assert not await state.first_use("ticket 7", end)
    assert await state.take("", (), [backoff("a")]) == Grant(False)  # all else goes on
    clock.set(clock.now + 360)
    assert await state.first_use("another", end)
    await state.close()


async def test_what_is_over_goes_a_few_at_a_time(clocked: Any) -> None:
    clock, open_empty = clocked
    limits = Limits(deadline=20, sweep=3, used=30, counters=30, known=30, forget_counter=10, forget_known=10, skew=10)
    state = open_empty(limits)
    for number in range(20):
        await state.take("", (), [backoff(f"account:{number}", free=1)])
        await state.succeeded(f"pair {number}", (), ())
        await state.first_use(f"ticket {number}", datetime.fromtimestamp(clock.now, UTC))
    assert (await state.take("", (), [backoff("account:19", free=1)])).held
    clock.set(clock.now + 10)
    # What is over counts for nothing, although most of it is still there.
    assert await state.counters() == []
    assert not (await state.take("pair 19", (), [backoff("account:19", free=1)])).held
    assert not (await state.take("pair 18", (), [])).known
    assert await state.first_use("ticket 19", datetime.fromtimestamp(clock.now, UTC))
    assert 5 < await state.clear(None) < 20
    await state.close()


async def test_hundreds_at_once_are_all_answered(state: SharedState) -> None:
    taken = await asyncio.gather(*(state.take("", (), [backoff("source:a", 100)]) for _ in range(300)))
    assert sum(not answer.held for answer in taken) == 100


async def test_who_gives_up_leaves_nothing_behind(state: SharedState) -> None:
    """Clients close their connections at any moment: the place, the connection and the thread are for the next."""
    for turn in range(150):
        tasks = [asyncio.create_task(state.take("", (), [backoff("a", 99_999)])) for _ in range(20)]
        for _ in range(turn % 50):
            await asyncio.sleep(0)
        for task in tasks[turn % 7 :]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    (before,) = await state.counters()
    answers = await asyncio.gather(*(state.take("", (), [backoff("b", 99_999)]) for _ in range(64)))
    assert answers == [Grant(False)] * 64
    after = {count.key: count.n for count in await state.counters()}
    assert after == {"a": before.n, "b": 64}  # nothing that was given up is done later, and no answer is another's


async def test_the_state_is_there_when_it_is_opened_again(opened: Any) -> None:
    state = opened(PATIENT)
    await state.take("alice@a", (), [backoff("account:alice", most=1)])
    await state.succeeded("bob@b", (), ())
    assert await state.first_use("ticket", SOON)
    await state.close()
    state = opened(PATIENT)
    assert (await state.take("alice@a", (), [backoff("account:alice", most=1)])).wait is None
    assert (await state.take("bob@b", (), ())).known
    assert not await state.first_use("ticket", SOON)
    await state.close()


async def test_everything_can_be_listed_and_cleared_when_it_is_full(state: SharedState) -> None:
    start = time.monotonic()
    for first in range(0, 5000, 100):
        await asyncio.gather(*(state.take("", (), [backoff(f"account:{n}")]) for n in range(first, first + 100)))
    assert len(await state.counters()) == 5000
    assert await state.clear(None) == 5000
    assert await state.counters() == []
    assert time.monotonic() - start < 60
