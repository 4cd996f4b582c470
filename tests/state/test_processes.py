"""Several processes share one state: what one of them counts or uses, all of them see, even if it was killed then."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dicomgate.state import open_state
from dicomgate.state.protocol import Backoff
from tests.state.worker import SOON

Where = tuple[Path | None, str | None]
Worker = subprocess.Popen[str]
pytestmark = pytest.mark.anyio
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def start(where: Where) -> Iterator[Callable[..., list[Worker]]]:
    """Start workers that act at the same moment."""
    with ExitStack() as stack:

        def start(count: int, action: str, number: int) -> list[Worker]:
            command = [sys.executable, str(WORKER), *(str(place or "-") for place in where), action, str(number)]
            workers = []
            for _ in range(count):
                worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                stack.callback(end, worker)
                workers.append(worker)
            for worker in workers:
                assert worker.stdout is not None
                assert worker.stdout.readline() == "ready\n"
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
            return workers

        yield start


def end(worker: Worker) -> None:
    worker.kill()
    worker.communicate()


async def counts(where: Where) -> dict[str, int]:
    """The attempts that each counter has."""
    state = open_state(*where)
    found = {count.key: count.n for count in await state.counters()}
    await state.close()
    return found


def together(workers: list[Worker]) -> int:
    return sum(int(worker.communicate(timeout=60)[0]) for worker in workers)


def test_one_of_many_uses_at_once_is_the_first(start: Any) -> None:
    assert together(start(4, "use", 50)) == 1
    assert together(start(2, "use", 5)) == 0  # nor later


async def test_as_many_attempts_at_once_go_ahead_as_are_free(start: Any, where: Where) -> None:
    assert together(start(4, "take", 50)) == 7
    # Those that were held have changed nothing, neither the counter that held them nor the other.
    assert await counts(where) == {"account:alice": 7, "source:10.0.0.7": 7}


async def test_what_was_counted_and_used_is_there_when_the_process_was_killed(start: Any, where: Where) -> None:
    worked = 0
    for _ in range(3):
        (worker,) = start(1, "write", 100_000)
        told = [worker.stdout.readline() for _ in range(30)]
        worker.send_signal(signal.SIGKILL)
        told += worker.stdout.readlines()
        worked += int([line for line in told if line.endswith("\n")][-1])  # the last may be cut
    state = open_state(*where)
    (count,) = await state.counters()
    assert worked <= count.n <= worked + 3 * 2  # at each end, one may have been counted and not told
    assert [await state.first_use(f"ticket {turn}", SOON) for turn in (1, 15, 30)] == [False] * 3
    assert await state.first_use("another", SOON)
    assert not (await state.take("alice", (), [Backoff("account:alice", 1_000_000, 1, 1)])).held
    await state.close()


async def test_several_processes_count_on_while_one_is_killed(start: Any, where: Where) -> None:
    killed, *others = start(3, "write", 150)
    killed.stdout.readline()
    killed.kill()
    assert [worker.communicate(timeout=60)[0].split()[-1] for worker in others] == ["149"] * 2
    assert (await counts(where))["account:alice"] > 2 * 149
