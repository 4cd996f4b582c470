"""Those who have not logged in share their turns: how many steps there are between two turns of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from dicomgate.net.turns import Turns


class Loop:
    """A loop that is turned by hand, and a clock that only a step moves."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.seconds = 0.0
        self.done: list[object] = []
        self.turns = Turns(cast(asyncio.AbstractEventLoop, self), lambda: self.seconds)

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.due.append(callback)

    def step(self, name: object, seconds: float) -> Callable[[], None]:
        def step() -> None:
            self.seconds += seconds
            self.done.append(name)

        return step

    def turn(self) -> list[object]:
        """What is done in the next turn."""
        self.done, due, self.due = [], self.due, []
        for callback in due:
            callback()
        return self.done


@pytest.mark.parametrize(
    ("each", "in_one_turn"), [(0.0, [50]), (1 / 4096, [9] * 5 + [5]), (1 / 512, [2] * 25), (0.5, [1] * 50)]
)
def test_steps_share_a_turn_as_long_as_they_are_short(each: float, in_one_turn: list[int]) -> None:
    loop = Loop()
    for number in range(50):
        loop.turns.take(loop.step(number, each))
    turns = [list(loop.done)]
    while loop.due:
        turns.append(list(loop.turn()))
    assert [len(done) for done in turns if done] == in_one_turn
    assert [name for done in turns for name in done] == list(range(50)), "first come, first served"


def test_a_step_that_goes_on_gives_the_others_their_turn() -> None:
    loop = Loop()

    def endless() -> None:
        loop.done.append("endless")
        loop.turns.later(endless)

    loop.turns.take(endless)
    loop.turns.take(loop.step("other", 0))
    assert [loop.turn(), loop.turn()] == [["endless"], ["other", "endless"]]


def test_a_step_that_fails_keeps_none_of_the_others_from_theirs() -> None:
    loop = Loop()
    loop.turns.take(loop.step("first", 1))
    loop.turns.take(lambda: loop.step("failing", 0)() or 1 / 0)  # type: ignore[arg-type]
    loop.turns.take(loop.step("last", 0))
    with pytest.raises(ZeroDivisionError):
        loop.turn()
    assert loop.turn() == ["last"]
