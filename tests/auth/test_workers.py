"""Threads that are kept: one for each job at a time, none too many, and none left."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dicomgate.auth import workers as module
from dicomgate.auth.workers import Workers
from dicomgate.testing.peers.loopback import wait_until


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers("kept")
    yield made
    made.close()
    _all_end()


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "kept"]


def _all_end() -> None:
    wait_until(lambda: not _threads(), "all threads end")


def _done(workers: Workers, jobs: int) -> set[int]:
    """Do these one after the other; the threads that did them."""
    by: set[int] = set()
    for number in range(1, jobs + 1):
        done: list[int] = []
        workers.run(lambda done=done: done.append(threading.get_ident()))  # type: ignore[misc]
        wait_until(lambda done=done: done and (workers._idle or not _threads()), f"job {number}")  # type: ignore[misc]
        by.update(done)
    return by


def test_a_thread_is_kept(workers: Workers) -> None:
    assert len(_done(workers, 20)) == 1
    assert all(thread.daemon for thread in _threads())


def test_jobs_at_a_time_have_a_thread_each(workers: Workers) -> None:
    together = threading.Barrier(4)
    for _ in range(3):
        for _ in range(3):
            workers.run(lambda: together.wait(20))
        together.wait(20)
        wait_until(lambda: workers._idle == 3, "the threads are free")
    assert len(_threads()) == 3


def test_it_ends_after_so_many_calls(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALLS", 3)
    _done(workers, 3)
    _all_end()
    assert len(_done(workers, 2)) == 1, "no job waits for one that has ended"


def test_it_ends_when_there_is_nothing_to_do(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE", 0.01)
    _done(workers, 1)
    _all_end()
    assert workers._idle == 0
    for _ in range(300):  # at the moment at which it ends, too
        done = threading.Event()
        workers.run(done.set)
        assert done.wait(20)
        threading.Event().wait(0.0099)


def test_a_thread_that_is_busy_at_the_end_is_not_kept(workers: Workers) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def job() -> None:
        inside.set()
        go_on.wait(20)

    workers.run(job)
    assert inside.wait(20)
    workers.close()
    go_on.set()
    _all_end()
