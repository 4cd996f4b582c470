"""The two stores, on the real clock and on one that tests set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis as client

from dicomgate.state import redis, sqlite
from dicomgate.state.protocol import Limits, SharedState
from dicomgate.state.redis import RedisState
from dicomgate.state.redis_words import SCRIPT
from dicomgate.state.sqlite import SqliteState
from dicomgate.testing.peers.redis import RedisServer, run_redis


@pytest.fixture(scope="session")
def _running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(_running_redis: RedisServer) -> RedisServer:
    """One Redis for all tests that leave it as it is, empty at the start of each."""
    _running_redis.command("flushall")
    return _running_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test, which may do with it what it likes."""
    with run_redis(tmp_path) as server:
        yield server


Open = Callable[[Limits], SharedState]


@pytest.fixture(params=["sqlite", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path | None, str | None]:
    """The path and the URL of a state that is empty: what `open_state` takes."""
    if request.param == "sqlite":
        return tmp_path / "state.sqlite", None
    return None, request.getfixturevalue("redis_server").url


@pytest.fixture
def opened(where: tuple[Path | None, str | None]) -> Open:
    """Open that state with certain limits; each call opens the same."""
    path, url = where
    return lambda limits: SqliteState(path, limits) if url is None else RedisState(url, limits)


class Clock:
    """What time it is for a store: a number of seconds, and no store goes on by itself."""

    def __init__(self, tell: Callable[[int], object]) -> None:
        self._tell = tell
        self.set(1_000_000_000)

    def set(self, now: int) -> None:
        self.now = now
        self._tell(now)


@pytest.fixture(params=["sqlite", "redis"])
def clocked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, Open]:
    """A clock, and how to open a new and empty state that goes by it."""
    if request.param == "sqlite":
        clock = Clock(lambda now: None)
        gateway = SimpleNamespace(time=lambda: clock.now, monotonic=time.monotonic, sleep=time.sleep)
        monkeypatch.setattr(sqlite, "time", gateway)
        return clock, lambda limits: SqliteState(None, limits)

    server = request.getfixturevalue("redis_server")
    direct = client.Redis.from_url(server.url)
    request.addfinalizer(direct.close)  # noqa: PT021
    clock = Clock(lambda now: direct.set("clock", now))
    script = SCRIPT.replace("redis.call('TIME')", "{redis.call('GET', 'clock'), 0}")
    assert script != SCRIPT
    monkeypatch.setattr(redis, "SCRIPT", script)
    monkeypatch.setattr(redis, "time", SimpleNamespace(time=lambda: clock.now))

    def open_empty(limits: Limits) -> SharedState:
        direct.flushall()
        clock.set(clock.now)
        return RedisState(server.url, limits)

    return clock, open_empty
