from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from types import SimpleNamespace

import pytest

from dicomgate.kit import failover
from dicomgate.kit.failover import MEMORY, BusyError, Failover, NoAnswerError

pytestmark = pytest.mark.anyio


class FakeServer:
    """Answers what the test says, and remembers the seconds that it was given."""

    def __init__(self) -> None:
        self.answer: str | NoAnswerError = "yes"
        self.hangs = False
        self.shares: list[float] = []


async def question(server: FakeServer, seconds: float) -> str:
    server.shares.append(seconds)
    await asyncio.sleep(seconds if server.hangs else 0)
    if server.hangs:
        raise NoAnswerError("no answer")
    if isinstance(server.answer, NoAnswerError):
        raise server.answer
    return server.answer


class Servers:
    """`count` servers, called 0, 1, 2 and so on, and their failover."""

    def __init__(self, count: int, seconds: float = 1.0) -> None:
        self.all = [FakeServer() for _ in range(count)]
        named = {str(number): server for number, server in enumerate(self.all)}
        self._failover = Failover(named, seconds=seconds, kind="test server", log=logging.getLogger("dicomgate_test"))

    def ask(self) -> Awaitable[tuple[str, str]]:
        return self._failover.ask(question)

    @property
    def asked(self) -> list[int]:
        return [len(server.shares) for server in self.all]


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "dicomgate_test"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(failover, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


async def test_the_first_that_answers_is_the_only_one_asked() -> None:
    servers = Servers(2)
    servers.all[0].answer = "no"
    assert await servers.ask() == ("0", "no")
    assert servers.asked == [1, 0]


async def test_the_next_is_asked_if_one_fails() -> None:
    servers = Servers(3)
    servers.all[0].answer, servers.all[1].answer = NoAnswerError("refused"), NoAnswerError("garbage")
    assert await servers.ask() == ("2", "yes")
    servers.all[2].answer = NoAnswerError("stopped")
    with pytest.raises(NoAnswerError, match=r"^2: stopped; 0: refused; 1: garbage$"):
        await servers.ask()
    servers.all[1].answer = "yes"
    assert await servers.ask() == ("1", "yes")


async def test_one_that_failed_comes_last_for_a_while(clock: SimpleNamespace) -> None:
    servers = Servers(2)
    servers.all[0].answer = NoAnswerError("stopped")
    for _ in range(3):
        assert await servers.ask() == ("1", "yes")
    assert servers.asked == [1, 3]
    servers.all[0].answer = "yes"
    clock.now += MEMORY - 0.1
    assert await servers.ask() == ("1", "yes")
    clock.now += 0.2
    for _ in range(2):
        assert await servers.ask() == ("0", "yes")
    assert servers.asked == [3, 4]


async def test_one_question_finds_out_whether_it_works_again(clock: SimpleNamespace) -> None:
    """The others do not wait, each for itself, for a server that hangs."""
    servers = Servers(2)
    servers.all[0].hangs = True
    await servers.ask()
    clock.now += MEMORY
    assert await asyncio.gather(*(servers.ask() for _ in range(5))) == [("1", "yes")] * 5
    assert servers.asked == [2, 6]


async def test_busy_is_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    servers = Servers(2)
    servers.all[0].answer = BusyError("too many")
    for _ in range(2):
        assert await servers.ask() == ("1", "yes")
    assert servers.asked == [2, 2]
    assert logged(caplog) == []


async def test_each_has_its_share_of_the_time() -> None:
    slow = Servers(3, seconds=0.9)
    slow.all[0].hangs = slow.all[1].hangs = True
    assert await slow.ask() == ("2", "yes")
    first, second, last = (server.shares[0] for server in slow.all)
    assert 0 < last <= second <= first <= 0.3
    quick = Servers(2, seconds=0.9)
    quick.all[0].answer = NoAnswerError("refused")
    await quick.ask()
    assert quick.all[0].shares[0] <= 0.45 < quick.all[1].shares[0] <= 0.9, "what one leaves is there for the next"


async def test_the_log_says_once_when_a_server_fails_and_when_it_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    servers = Servers(2)
    for answer in ("yes", NoAnswerError("stopped"), NoAnswerError("still stopped"), "yes", "yes"):
        servers.all[0].answer = servers.all[1].answer = answer
        try:
            await servers.ask()
        except NoAnswerError:
            assert isinstance(answer, NoAnswerError)
    assert logged(caplog) == [
        "test server 0 failed: stopped",
        "test server 1 failed: stopped",
        "test server 0 works again",
    ]
