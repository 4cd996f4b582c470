"""Questions that wait are answered together, each with its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dicomgate.state.questions import Question, Questions

pytestmark = pytest.mark.anyio


class Asked:
    """Questions to a thread that is held until it is let go; `turns` are those that it answered together."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.questions = Questions(executor, (OSError,))
        self.turns: list[int] = []
        self._go = threading.Event()

    def _answer(self, questions: Sequence[Question]) -> None:
        self.turns.append(len(questions))
        for question in questions:
            question.found = question.work(self._go)

    def ask(self, work: Callable[[Any], Any]) -> Coroutine[Any, Any, Any]:
        return self.questions.ask(work, self._answer)

    async def while_busy(self, *works: Callable[[Any], Any]) -> list[asyncio.Task[Any]]:
        """These questions, put while the thread is busy with another."""
        first = asyncio.create_task(self.ask(lambda go: go.wait(20)))
        while not self.turns:
            await asyncio.sleep(0.001)
        tasks = [first, *(asyncio.create_task(self.ask(work)) for work in works)]
        await asyncio.sleep(0)
        return tasks

    async def let_go(self, tasks: Sequence[asyncio.Task[Any]]) -> list[Any]:
        self._go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def asked(anyio_backend: str) -> AsyncIterator[Asked]:
    with ThreadPoolExecutor(1) as executor:
        yield Asked(executor)


def fail(error: Exception) -> Any:
    raise error


async def test_those_that_wait_share_a_turn(asked: Asked) -> None:
    tasks = await asked.while_busy(*(lambda _, n=n: n for n in range(70)))
    assert await asked.let_go(tasks) == [True, *range(70)]
    assert asked.turns == [1, 64, 6]
    assert await asked.ask(lambda _: "later") == "later"


async def test_who_is_at_fault_alone_fails_alone(asked: Asked) -> None:
    tasks = await asked.while_busy(lambda _: 1, lambda _: fail(ValueError("mine")), lambda _: 3)
    _, one, two, three = await asked.let_go(tasks)
    assert (one, three) == (1, 3)
    assert isinstance(two, ValueError)


async def test_an_error_of_all_is_told_to_all_without_trying_again(asked: Asked) -> None:
    tasks = await asked.while_busy(lambda _: 1, lambda _: fail(OSError("the disk")), lambda _: 3)
    assert [type(answer) for answer in await asked.let_go(tasks)] == [bool, OSError, OSError, OSError]
    assert asked.turns == [1, 3]


async def test_who_gives_up_before_its_turn_leaves_nothing_behind(asked: Asked) -> None:
    worked: list[str] = []
    tasks = await asked.while_busy(lambda _: worked.append("given up"), lambda _: worked.append("wanted"))
    tasks[1].cancel()
    await asyncio.sleep(0)
    await asked.let_go(tasks)
    assert worked == ["wanted"]
