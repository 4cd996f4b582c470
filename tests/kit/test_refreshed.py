"""A value that is fetched again and again: one fetch for all callers, few fetches, the last value through an outage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from dicomgate.kit.fetch import FetchError
from dicomgate.kit.refreshed import Refreshed

pytestmark = pytest.mark.anyio
REFRESH, STALE, COOL_DOWN = 300.0, 3600.0, 20.0
DOWN = FetchError("answers with status 500")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Source:
    """What is fetched: `there` is the value, or what is raised. The gate holds fetches back; the clock is `now`."""

    def __init__(self) -> None:
        self.there: str | Exception = "old"
        self.fetches = 0
        self.now = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.value = self.refreshed()

    def refreshed(self, **options: Any) -> Refreshed[str]:
        return Refreshed(
            self._fetch, what="the value", log=logging.getLogger("refreshed"), describe=lambda value: f"is {value}",
            **{"refresh": REFRESH, "stale": STALE, "cool_down": COOL_DOWN, "clock": lambda: self.now, **options},
        )  # fmt: skip

    async def _fetch(self) -> str:
        self.fetches += 1
        await self.gate.wait()
        if isinstance(self.there, Exception):
            raise self.there
        return self.there


@pytest.fixture
async def source(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Source]:
    """A source whose value is fetched when a test first asks for it; at its end nothing is left."""
    caplog.set_level(logging.INFO)
    made = Source()
    yield made
    await made.value.close()
    assert [task for task in asyncio.all_tasks() if "Refreshed" in repr(task.get_coro())] == []


async def idle() -> None:
    """Let everything that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def refusal(source: Source) -> str:
    with pytest.raises(FetchError) as raised:
        await source.value.current()
    return str(raised.value)


async def test_one_fetch_for_all_callers_that_wait(source: Source) -> None:
    source.gate.clear()
    waiting = [asyncio.create_task(source.value.current()) for _ in range(100)]
    await idle()
    assert not any(task.done() for task in waiting)
    source.gate.set()
    assert await asyncio.gather(*waiting) == ["old"] * 100
    assert source.fetches == 1


async def test_a_caller_that_stops_waiting_takes_nothing_from_others(source: Source) -> None:
    source.gate.clear()
    one, other = (asyncio.create_task(source.value.current()) for _ in range(2))
    await idle()
    one.cancel()
    await idle()
    assert one.cancelled()
    assert not other.done()
    source.gate.set()
    assert await other == "old"
    assert source.fetches == 1


async def test_a_fetch_ends_for_the_next_caller_when_all_have_stopped_waiting(source: Source) -> None:
    source.gate.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(source.value.current(), 0.01)
    source.gate.set()
    assert await source.value.current() == "old"
    assert source.fetches == 1


async def test_a_fetch_that_takes_longer_than_the_cool_down_is_waited_for(source: Source) -> None:
    source.gate.clear()
    first = asyncio.create_task(source.value.current())
    await idle()
    source.now += 2 * COOL_DOWN
    second = asyncio.create_task(source.value.newest())
    await idle()
    source.gate.set()
    assert [await first, await second] == ["old", "old"]
    assert source.fetches == 1


async def test_leaving_while_a_fetch_is_under_way(source: Source) -> None:
    source.gate.clear()
    async with source.value:
        await idle()
        assert source.fetches == 1


async def test_coming_again_after_leaving_before_the_first_fetch_began(source: Source) -> None:
    async with source.value:
        pass
    assert source.fetches == 0
    source.now += COOL_DOWN
    async with source.value:
        assert await source.value.current() == "old"


async def test_the_newest_value_is_fetched_again_but_not_within_the_cool_down(source: Source) -> None:
    assert await source.value.current() == "old"
    source.there = "new"
    source.now = COOL_DOWN - 0.01
    assert await source.value.newest() == "old"
    source.now = COOL_DOWN
    assert await source.value.newest() == "new"
    assert source.fetches == 2


async def test_the_newest_value_could_not_be_fetched(source: Source) -> None:
    assert await source.value.current() == "old"
    source.there = DOWN
    source.now += COOL_DOWN
    for _ in range(2):
        with pytest.raises(FetchError, match="status 500"):
            await source.value.newest()
        assert await source.value.current() == source.value.latest() == "old"
    assert source.fetches == 2


async def test_a_value_is_fetched_ahead_of_time(source: Source) -> None:
    assert await source.value.current() == "old"
    source.gate.clear()
    source.now = REFRESH / 2 + 0.01
    assert await source.value.current() == "old", "without waiting"
    await idle()
    assert source.fetches == 2
    source.gate.set()
    await idle()
    source.there = DOWN
    source.now = REFRESH + 0.01  # after the first fetch, but not after the second
    assert await source.value.current() == "old"
    assert source.fetches == 2


async def test_a_caller_after_the_refresh_waits_for_the_new_value(source: Source) -> None:
    assert await source.value.current() == "old"
    source.gate.clear()
    source.now = REFRESH + 0.01
    waiting = asyncio.create_task(source.value.current())
    await idle()
    assert not waiting.done()
    source.there = "new"
    source.gate.set()
    assert await waiting == "new"


async def test_the_last_value_serves_through_an_outage_and_then_ends(source: Source) -> None:
    assert await source.value.current() == "old"
    source.there = DOWN
    while source.now < STALE:
        source.now = min(source.now + 250, STALE)
        assert await source.value.current() == source.value.latest() == "old"
    source.now = STALE + 0.01
    assert await refusal(source) == f"the value cannot be fetched: {DOWN}"
    with pytest.raises(FetchError, match="status 500"):
        source.value.latest()
    source.there = "new"
    source.now += COOL_DOWN
    assert await source.value.current() == "new"


async def test_no_value_yet(source: Source) -> None:
    with pytest.raises(FetchError, match="the value cannot be fetched: not yet"):
        source.value.latest()
    source.there = DOWN
    for _ in range(3):
        assert await refusal(source) == f"the value cannot be fetched: {DOWN}"
    assert source.fetches == 1
    source.there = "new"
    source.now = COOL_DOWN - 0.01
    await refusal(source)
    source.now = COOL_DOWN
    assert await source.value.current() == "new"


async def test_a_line_in_the_log_for_each_change(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    bad = FetchError("answers with status 502")
    for there in (DOWN, DOWN, DOWN, bad, bad, "a", "b", DOWN, DOWN, "b"):
        source.there = there
        source.now += COOL_DOWN
        with suppress(FetchError):
            await source.value.newest()
    cannot = "the value cannot be fetched: "
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", f"{cannot}{DOWN}"),
        ("ERROR", f"{cannot}{bad}"),
        ("INFO", "the value: is a"),
        ("ERROR", f"{cannot}{DOWN}"),
        ("INFO", "the value: is b"),
    ]


async def test_a_defect_is_logged_and_ends_with_the_next_fetch(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    source.there = ZeroDivisionError("a defect of ours")
    assert await refusal(source) == "the value cannot be fetched: ZeroDivisionError"
    assert "a defect of ours" in caplog.text
    source.there = "new"
    source.now += COOL_DOWN
    assert await source.value.current() == "new"


async def test_a_doubtful_value_is_forgotten_after_the_cool_down(source: Source) -> None:
    assert await source.value.current() == "old"
    source.there = "new"
    source.value.doubt()
    assert await source.value.current() == "old"
    source.now = COOL_DOWN
    source.value.doubt()
    assert await source.value.current() == "new"
    assert source.fetches == 2


async def test_without_a_refresh_a_value_is_fetched_once(source: Source) -> None:
    value = source.refreshed(refresh=float("inf"), stale=float("inf"))
    assert source.fetches == 0
    source.now = 1e9
    assert await value.current() == await value.current() == "old"
    source.now = 2e9
    assert await value.current() == "old"
    assert source.fetches == 1
    await value.close()


async def test_each_value_says_how_long_it_counts(source: Source) -> None:
    value = source.refreshed(lives={"old": 100.0, "new": 1000.0}.__getitem__)
    assert await value.current() == "old"
    source.now = 50
    assert await value.current() == "old"
    source.there = DOWN
    source.now = 99
    assert await value.current() == "old"
    source.now = 101
    with pytest.raises(FetchError, match="status 500"):
        await value.current()
    source.there = "new"
    source.now += COOL_DOWN
    assert await value.current() == "new"
    source.there = "old"
    source.now += 501
    assert await value.current() == "old"
    await value.close()


async def test_in_the_background_it_is_fetched_without_being_asked(source: Source) -> None:
    source.there = DOWN
    value = source.refreshed(background=True, refresh=0.02, cool_down=0.01, clock=asyncio.get_running_loop().time)
    async with asyncio.timeout(60), value:
        await value.settled()
        with pytest.raises(FetchError, match="status 500"):
            value.latest()
        source.there = "new"
        for wanted in ("new", "newer"):
            source.there = wanted
            while source.fetches < 3 or value.latest() != wanted:
                await asyncio.sleep(0.001)
            source.fetches = 0


async def test_in_the_background_a_fetch_that_was_cancelled_is_repeated(source: Source) -> None:
    value = source.refreshed(background=True, refresh=3600, cool_down=0.05, clock=asyncio.get_running_loop().time)
    source.gate.clear()
    async with value:
        await idle()
    source.gate.set()
    async with asyncio.timeout(60), value:
        while source.fetches < 2:
            await asyncio.sleep(0.001)
        await value.settled()
        assert value.latest() == "old"
