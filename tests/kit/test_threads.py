"""Computations in threads: so many at a time, so many that wait, and none that is left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from dicomgate.kit import threads as module
from dicomgate.kit.threads import ComputingThreads, QueueFullError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def threads(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ComputingThreads]:
    """Two threads, and three computations that wait or are computed."""
    monkeypatch.setattr(module, "THREADS", 2)
    made = ComputingThreads("computing")
    monkeypatch.setattr(made, "_most", 3)
    yield made
    made.close()


async def test_work_is_done_in_threads_of_its_own(threads: ComputingThreads) -> None:
    assert (await threads.run(threading.current_thread)).name.startswith("computing")
    assert await threads.run(sorted, [2, 1], reverse=False) == [1, 2]


async def test_what_the_work_raises_is_raised(threads: ComputingThreads) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await threads.run(int, "x")


async def test_so_many_wait_and_no_more(threads: ComputingThreads) -> None:
    go_on = threading.Event()
    try:
        waiting = [asyncio.ensure_future(threads.run(go_on.wait, 20)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="3 computations are already waiting"):
            await threads.run(go_on.wait, 20)
        waiting.pop().cancel()  # a caller that gives up leaves the queue
        await asyncio.sleep(0)
        waiting.append(asyncio.ensure_future(threads.run(go_on.wait, 20)))
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert await threads.run(go_on.wait, 20)
    finally:
        go_on.set()


async def test_at_most_so_many_at_a_time(threads: ComputingThreads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_most", 10)
    together, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        threading.Event().wait(0.01)
        with lock:
            together -= 1

    await asyncio.gather(*(threads.run(work) for _ in range(10)))
    assert most == 2


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
    assert isinstance(outcomes[-1], asyncio.CancelledError)
    for thread in threading.enumerate():
        if thread.name.startswith("computing"):
            thread.join(20)
            assert not thread.is_alive()


def test_a_core_is_left_to_the_event_loop() -> None:
    assert module.THREADS >= 1
    made = ComputingThreads("computing")
    assert made._most == module.THREADS * module.QUEUE_PER_THREAD
    made.close()
