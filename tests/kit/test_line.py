"""Who waits, in which order, for how long, and who is turned away at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context

import pytest

from dicomgate.kit import line as module
from dicomgate.kit.line import Line, LineTooLongError
from dicomgate.kit.patience import asking

pytestmark = pytest.mark.anyio


class Question:
    """A question that is under way, as the gateway's own."""

    def __init__(self, source: str, patience: float = 4.0) -> None:
        self.source, self.patience, self.looked = source, patience, False
        self.waits: list[bool] = []

    def wait(self) -> None:
        self.waits.append(True)

    def work(self) -> None:
        self.waits.append(False)


@pytest.fixture
def time_passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]

    class Time:
        @staticmethod
        def monotonic() -> float:
            return now[0]

    def passes(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(module, "time", Time)
    return passes


def enter(line: Line, question: Question) -> asyncio.Task[None]:
    context = copy_context()
    context.run(asking.set, question)
    return asyncio.get_running_loop().create_task(line.enter(), context=context)


async def test_sources_take_turns_and_each_is_served_in_its_order() -> None:
    line = Line(1)
    await line.enter()
    served: list[str] = []
    tasks = []
    for name in "a1", "a2", "a3", "b1", "c1", "a4", "b2":
        tasks.append(enter(line, Question(name[0])))
        tasks[-1].add_done_callback(lambda _, name=name: served.append(name))  # type: ignore[misc]
        await asyncio.sleep(0)
    for _ in tasks:
        assert len(served) == len(set(served))
        line.leave(0.01)
        await asyncio.sleep(0.001)
    assert served == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    line.leave(0.01)
    await asyncio.wait_for(line.enter(), 1)


async def test_the_time_in_the_line_is_waiting_and_only_that() -> None:
    line = Line(1)
    first, second = Question("a"), Question("b")
    await enter(line, first)
    task = enter(line, second)
    await asyncio.sleep(0)
    assert (first.waits, second.waits) == ([], [True])
    line.leave(0.01)
    await task
    assert second.waits == [True, False]


async def test_who_leaves_the_line_leaves_no_gap_and_loses_no_place() -> None:
    for steps in range(4):  # before, while and after its turn comes
        line = Line(1)
        await line.enter()
        leaver, stayer = enter(line, Question("a")), enter(line, Question("a"))
        await asyncio.sleep(0)
        if steps < 2:
            leaver.cancel()
        line.leave(0.01)
        if steps == 2:
            leaver.cancel()
        await asyncio.sleep(0)
        if steps == 3:
            await leaver
            line.leave(0.01)
        await asyncio.wait_for(stayer, 1)
        line.leave(0.01)
        await asyncio.wait_for(line.enter(), 1)
        assert not line._waiting


async def test_who_could_not_be_served_in_time_is_turned_away_at_once() -> None:
    line = Line(2)
    await line.enter()
    line.leave(1.0)  # the usual time
    holders = [enter(line, Question("a")) for _ in range(2)]
    waiting = [enter(line, Question(source)) for source in "abcdefghi"]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    with pytest.raises(LineTooLongError, match="9 logins are waiting before this one"):
        await enter(line, Question("j"))
    patient = enter(line, Question("j", patience=5.0))
    hasty = enter(line, Question("a", patience=1.0))
    await asyncio.sleep(0)
    assert not patient.done()
    assert isinstance(hasty.exception(), LineTooLongError)
    await asyncio.gather(*holders)
    for task in (*waiting, patient):
        task.cancel()


async def test_where_nothing_moves_nobody_waits(time_passes: Callable[[float], None]) -> None:
    line = Line(2)
    await asyncio.gather(line.enter(), line.enter())
    time_passes(3.9)
    waiting = enter(line, Question("a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    time_passes(0.2)
    with pytest.raises(LineTooLongError, match="none of 2 logins under way has ended within 4 s"):
        await enter(line, Question("b"))
    line.leave(4.1)
    await waiting


async def test_one_source_does_not_make_the_line_long_for_others() -> None:
    line = Line(1)
    await line.enter()
    line.leave(0.1)
    await line.enter()
    crowd = [enter(line, Question("a")) for _ in range(40)]
    await asyncio.sleep(0)
    with pytest.raises(LineTooLongError):
        await enter(line, Question("a", patience=3.9))
    other = enter(line, Question("b", patience=3.9))
    await asyncio.sleep(0)
    assert not other.done(), "only one goes before it"
    for task in (*crowd, other):
        task.cancel()
