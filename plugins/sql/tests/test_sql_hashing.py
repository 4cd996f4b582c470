from __future__ import annotations

import asyncio
import threading

import pytest

from dicomgate_passcode import HashingFailedError
from dicomgate_sql import hashing
from dicomgate_sql.failure import CouldNotLookError
from dicomgate_sql.hashing import HashingThreads


def test_work_is_done_in_threads_of_its_own() -> None:
    async def work() -> str:
        threads = HashingThreads()
        try:
            return (await threads.run(threading.current_thread)).name
        finally:
            threads.close()

    assert asyncio.run(work()).startswith("sql-hashing")


def test_so_many_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MOST_WAITING", 3)
    go_on = threading.Event()

    async def work() -> None:
        threads = HashingThreads()
        try:
            waiting = [asyncio.ensure_future(threads.run(go_on.wait, 20)) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(CouldNotLookError, match="3 passcodes are waiting to be verified already"):
                await threads.run(go_on.wait, 20)
            waiting.pop().cancel()  # who gives up leaves a place
            await asyncio.sleep(0)
            waiting.append(asyncio.ensure_future(threads.run(go_on.wait, 20)))
            await asyncio.sleep(0)
            go_on.set()
            assert await asyncio.gather(*waiting) == [True] * 3
            assert await threads.run(go_on.wait, 20)
        finally:
            go_on.set()
            threads.close()

    asyncio.run(work())


def test_at_most_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "THREADS", 2)
    together, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        threading.Event().wait(0.01)
        with lock:
            together -= 1

    async def all_of_it() -> None:
        threads = HashingThreads()
        await asyncio.gather(*(threads.run(work) for _ in range(10)))
        threads.close()

    asyncio.run(all_of_it())
    assert most == 2


def test_no_memory_is_not_wrong() -> None:
    def exhausted() -> None:
        raise HashingFailedError("the hash could not be computed")

    async def work() -> None:
        threads = HashingThreads()
        try:
            with pytest.raises(CouldNotLookError, match="no memory"):
                await threads.run(exhausted)
        finally:
            threads.close()

    asyncio.run(work())


def test_closing_drops_what_waits_and_ends_the_threads() -> None:
    started, go_on = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go_on.wait(20)

    async def close() -> None:
        threads = HashingThreads()
        jobs = [asyncio.ensure_future(threads.run(work)) for _ in range(hashing.THREADS + 1)]
        await asyncio.sleep(0)
        assert started.wait(20)
        threads.close()
        go_on.set()
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        assert isinstance(outcomes[-1], asyncio.CancelledError)

    asyncio.run(close())
    for thread in threading.enumerate():
        if thread.name.startswith("sql-hashing"):
            thread.join(20)
            assert not thread.is_alive()
