"""What counting adds to a login: one `take` before the verification and one `succeeded` after it.

A store is asked as the gateway asks it, from an event loop. The file and the Redis are on this machine.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from dicomgate.state import open_state
from dicomgate.state.protocol import Backoff, SharedState

from .processes import free_port, running, wait_until_listening
from .results import Bar, Comparison, Options, Sample, interleave, tell

_ALONE, _ALONE_P99, _TOGETHER = "a login, p50", "a login, p99", "each of 32 at once"
_AT_ONCE = 32
_BARS = (Bar(contestant=_ALONE, most=1),)  # milliseconds
_NO_REDIS = "redis-server is not installed (apt-get install redis-server): Redis was left out"


def run(options: Options, folder: Path) -> list[Comparison]:
    """One table for each store."""
    comparisons = [
        _compare("in memory", None, None, options),
        _compare("SQLite", folder / "state.sqlite", None, options),
    ]
    command = shutil.which("redis-server")
    if command is None:
        tell(_NO_REDIS)
        return comparisons
    with _redis(command, folder) as url:
        return [*comparisons, _compare("Redis", None, url, options)]


def _compare(title: str, path: Path | None, url: str | None, options: Options) -> Comparison:
    tell(f" {title}")
    logins = 100 if options.quick else 3000
    take = {
        _ALONE: lambda: asyncio.run(_one_by_one(open_state(path, url), logins, 50)),
        _ALONE_P99: lambda: asyncio.run(_one_by_one(open_state(path, url), logins, 99)),
        _TOGETHER: lambda: asyncio.run(_together(open_state(path, url), logins)),
    }
    return Comparison(title, "ms", interleave(take, options.rounds), cpu_unit="ms", bars=_BARS)


async def _one_by_one(state: SharedState, logins: int, percentile: int) -> Sample:
    await _login(state, 0)  # the connection is there, and the script
    cpu, times = time.process_time(), []
    for number in range(logins):
        start = time.perf_counter()
        await _login(state, number)
        times.append(time.perf_counter() - start)
    cpu = time.process_time() - cpu
    await state.close()
    return Sample(quantiles(times, n=100, method="inclusive")[percentile - 1] * 1000, cpu / logins * 1000)


async def _together(state: SharedState, logins: int) -> Sample:
    await asyncio.gather(*(_login(state, number) for number in range(_AT_ONCE)))
    cpu, start = time.process_time(), time.perf_counter()
    for first in range(0, logins, _AT_ONCE):
        await asyncio.gather(*(_login(state, number) for number in range(first, first + _AT_ONCE)))
    taken, cpu = time.perf_counter() - start, time.process_time() - cpu
    await state.close()
    return Sample(taken / logins * 1000, cpu / logins * 1000)


async def _login(state: SharedState, number: int) -> None:
    """A login of one of a hundred users from one of ten addresses, at half of which they were before."""
    account, source = number % 100, number % 10
    subject = f"user-{account}@10.0.{number % 2 * number}.{source}"
    known, unknown = f"known:user-{account}", f"account:user-{account}"
    backoffs = [Backoff(unknown, 5, 30, 3600, 25), Backoff(f"source:10.0.0.{source}", 50, 30, 3600)]
    taken = await state.take(subject, [Backoff(known, 5, 30, 3600, 25)], backoffs)
    assert not taken.held, taken
    await state.succeeded(subject, (known, unknown), () if taken.known else (f"source:10.0.0.{source}",))


@contextmanager
def _redis(command: str, folder: Path) -> Iterator[str]:
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with running([command, *options], folder, "redis") as process:
        wait_until_listening(process, port)
        yield f"redis://127.0.0.1:{port}/0"
