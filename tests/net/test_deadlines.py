"""Deadlines that share a timer of the loop: each is called when it is due, and not if it was cancelled."""

from __future__ import annotations

import asyncio
import gc
import weakref
from functools import partial

import pytest

from dicomgate.net.deadlines import Deadlines

pytestmark = pytest.mark.anyio


async def test_each_is_called_when_it_is_due_in_the_order_of_the_clock() -> None:
    loop = asyncio.get_running_loop()
    deadlines, called, due = Deadlines(loop), list[str](), dict[str, float]()

    def call(name: str) -> None:
        called.append(name)
        assert loop.time() >= due[name]

    def begin(name: str, seconds: float) -> None:
        due[name] = deadlines.after(seconds, partial(call, name)).due

    begin("long", 0.2)
    begin("short", 0.05)
    await asyncio.sleep(0.02)
    begin("short again", 0.05)
    await asyncio.sleep(0.5)
    assert called == ["short", "short again", "long"]


async def test_what_is_cancelled_is_not_called_and_those_behind_it_are() -> None:
    deadlines, called = Deadlines(asyncio.get_running_loop()), list[str]()
    first, second, third = (deadlines.after(0.05, partial(called.append, name)) for name in "123")

    def replaced() -> None:
        called.append("replaced")
        third.cancel()

    second.call = replaced
    first.cancel()
    await asyncio.sleep(0.2)
    second.cancel()
    deadlines.after(0.05, partial(called.append, "later"))
    await asyncio.sleep(0.2)
    assert called == ["replaced", "later"]


async def test_a_defect_of_one_is_told_and_the_others_are_called_in_portions() -> None:
    loop, told, called = asyncio.get_running_loop(), list[str](), list[int]()
    deadlines = Deadlines(loop)
    loop.set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    deadlines.after(0.05, partial(int, "a defect"))
    for number in range(100):
        deadlines.after(0.05, partial(called.append, number))
    most, before = 0, 0
    while before < 100:
        await asyncio.sleep(0)
        most, before = max(most, len(called) - before), len(called)
    assert called == list(range(100))
    assert told == ["invalid literal for int() with base 10: 'a defect'"]
    assert most < 100, "others are served in between"


async def test_an_owner_that_is_done_needs_no_garbage_collector() -> None:
    class Owner:
        def __init__(self, deadlines: Deadlines) -> None:
            self.deadline = deadlines.after(0.02, self.over)

        def over(self) -> None:
            """Nothing."""

    deadlines = Deadlines(asyncio.get_running_loop())
    gc.disable()
    try:
        owners = [Owner(deadlines), Owner(deadlines)]
        left = [weakref.ref(owner) for owner in owners]
        owners[0].deadline.cancel()
        await asyncio.sleep(0.1)
        assert all(left)
        owners.clear()
        assert [owner() for owner in left] == [None, None]
    finally:
        gc.enable()
