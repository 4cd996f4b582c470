"""Computations in threads: so many at a time, and none that is left."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator

import pytest

from dicomgate.kit import threads as module
from dicomgate.kit.threads import ComputingThreads

pytestmark = pytest.mark.anyio


@pytest.fixture
async def threads(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ComputingThreads]:
    """Two threads."""
    monkeypatch.setattr(module, "THREADS", 2)
    made = ComputingThreads("computing")
    yield made
    made.close()


async def test_work_is_done_in_threads_of_its_own(threads: ComputingThreads) -> None:
    assert (await threads.run(threading.current_thread)).name.startswith("computing")
    assert await threads.run(sorted, [2, 1], reverse=False) == [1, 2]


async def test_what_the_work_raises_is_raised(threads: ComputingThreads) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await threads.run(int, "x")


async def test_at_most_so_many_at_a_time_and_a_caller_that_leaves_keeps_its_thread(threads: ComputingThreads) -> None:
    together, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        threading.Event().wait(0.01)
        with lock:
            together -= 1

    computing = [asyncio.ensure_future(threads.run(work)) for _ in range(20)]
    await asyncio.sleep(0)
    for leaver in computing[1], computing[7]:  # one is being computed, the other waits
        leaver.cancel()
    outcomes = await asyncio.gather(*computing, return_exceptions=True)
    assert [type(one) for one in outcomes].count(asyncio.CancelledError) == 2
    assert most == 2


async def test_the_event_loop_goes_first(threads: ComputingThreads) -> None:
    assert await threads.run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())) > os.getpriority(
        os.PRIO_PROCESS, 0
    )


async def test_closing_drops_what_waits_and_ends_the_threads(threads: ComputingThreads) -> None:
    started, go_on = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go_on.wait(20)

    jobs = [asyncio.ensure_future(threads.run(work)) for _ in range(3)]
    await asyncio.sleep(0)
    assert started.wait(20)
    threads.close()
    go_on.set()
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(outcomes[-1], RuntimeError)
    for thread in threading.enumerate():
        if thread.name.startswith("computing"):
            thread.join(20)
            assert not thread.is_alive()
