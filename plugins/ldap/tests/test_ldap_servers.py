from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from dicomgate_ldap import servers as servers_module
from dicomgate_ldap.messages import Answer, Failed, Question, Refused, Verified
from dicomgate_ldap.servers import Servers

QUESTION = Question("alice", "secret")
YES = Verified("alice", "uid=alice")


class FakeWorkers:
    """Answer what the test says, and remember what they were asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: Answer = YES
        self.takes = 0.0
        self.shares: list[float] = []

    async def ask(self, question: Question, seconds: float) -> Answer:
        assert question is QUESTION
        self.shares.append(seconds)
        await asyncio.sleep(min(self.takes, seconds))
        return Failed("no answer") if self.takes >= seconds else self.answer


Made = Callable[..., tuple[Servers, list[FakeWorkers]]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    def make(count: int = 2, deadline: float = 1.0) -> tuple[Servers, list[FakeWorkers]]:
        fakes = [FakeWorkers(f"ldap://{number}") for number in range(count)]
        rest = iter(fakes)
        monkeypatch.setattr(servers_module, "Workers", lambda settings, connections: next(rest))
        settings = [SimpleNamespace(server=fake.url) for fake in fakes]
        return Servers(settings, deadline, 1), fakes  # type: ignore[arg-type]

    return make


def asked(fakes: list[FakeWorkers]) -> list[int]:
    return [len(fake.shares) for fake in fakes]


@pytest.mark.parametrize("answer", [YES, Refused("wrong passcode", known=True)])
def test_the_first_that_answers_is_the_only_one_asked(made: Made, answer: Answer) -> None:
    servers, fakes = made()
    fakes[0].answer = answer
    assert asyncio.run(servers.ask(QUESTION)) is answer
    assert asked(fakes) == [1, 0]


def test_the_next_is_asked_if_one_cannot_be(made: Made) -> None:
    servers, fakes = made(3)
    fakes[0].answer = Failed("refused")
    fakes[1].answer = Failed("garbage")
    assert asyncio.run(servers.ask(QUESTION)) == YES
    fakes[2].answer = Failed("stopped")
    assert asyncio.run(servers.ask(QUESTION)) == Failed("ldap://2: stopped; ldap://0: refused; ldap://1: garbage")


def test_one_that_was_down_comes_last_for_a_while(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    servers, fakes = made()

    async def story() -> None:
        fakes[0].answer = Failed("stopped")
        for _ in range(3):
            assert await servers.ask(QUESTION) == YES
        assert asked(fakes) == [1, 3]
        fakes[0].answer = YES
        servers._servers[0].down_until = asyncio.get_running_loop().time() - 0.001
        for _ in range(2):
            assert await servers.ask(QUESTION) == YES
        assert asked(fakes) == [3, 3]

    asyncio.run(story())


def test_one_question_looks_whether_it_is_back(made: Made) -> None:
    """The others do not wait for a server that hangs, each for itself."""
    servers, fakes = made()

    async def story() -> None:
        fakes[0].takes = 9.0
        await servers.ask(QUESTION)
        servers._servers[0].down_until = asyncio.get_running_loop().time() - 0.001
        assert await asyncio.gather(*(servers.ask(QUESTION) for _ in range(5))) == [YES] * 5
        assert asked(fakes) == [2, 6]

    asyncio.run(story())


def test_the_memory_is_a_short_one(made: Made) -> None:
    servers, fakes = made()
    fakes[0].answer = Failed("stopped")

    async def story() -> float:
        await servers.ask(QUESTION)
        return servers._servers[0].down_until - asyncio.get_running_loop().time()

    assert 10 < asyncio.run(story()) <= 15


def test_busy_is_not_down(made: Made) -> None:
    servers, fakes = made()
    fakes[0].answer = Failed("all connections are busy", asked=False)
    for _ in range(2):
        assert asyncio.run(servers.ask(QUESTION)) == YES
    assert asked(fakes) == [2, 2]


def test_each_has_its_share_of_the_deadline(made: Made) -> None:
    servers, fakes = made(3, deadline=0.9)
    fakes[0].takes = fakes[1].takes = 9.0
    assert asyncio.run(servers.ask(QUESTION)) == YES
    assert [round(fake.shares[0], 1) for fake in fakes] == [0.3, 0.3, 0.3]
    quick, others = made(2, deadline=0.9)
    others[0].answer = Failed("refused")
    asyncio.run(quick.ask(QUESTION))
    assert [round(fake.shares[0], 2) for fake in others] == [0.45, 0.9]


def test_the_log_says_when_a_server_goes_and_comes(made: Made, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="dicomgate_ldap")
    servers, fakes = made(1)
    for answer in (YES, Failed("stopped"), Failed("still stopped"), YES, YES):
        fakes[0].answer = answer
        asyncio.run(servers.ask(QUESTION))
    assert [record.getMessage() for record in caplog.records] == [
        "ldap://0: cannot be asked: stopped",
        "ldap://0: can be asked again",
    ]
