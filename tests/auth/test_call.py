"""The two clocks of a call: which one passes, and that no way of waiting winds one up again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomgate import Accept, Decision, Unavailable
from dicomgate.auth.call import Call

DEADLINE, PATIENCE = 2.0, 4.0


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time passes only when it is told to."""

    now = 1000.0

    def time(self) -> float:
        return self.now


STEPS = st.lists(st.tuples(st.sampled_from(["wait", "work", "pass"]), st.floats(0.1, 1.0)), max_size=30)


@given(STEPS)
def test_the_time_to_work_and_the_time_to_wait_pass_once(steps: list[tuple[str, float]]) -> None:
    """However many parts of an authenticator wait at the same time: while one does, the attempt waits."""
    loop = Clock()
    answers: list[Decision] = []

    async def run() -> None:
        call = Call(loop, "192.0.2.1", DEADLINE, PATIENCE, Unavailable, answers.append)
        call.begin(never())
        waiting, worked, waited = 0, 0.0, 0.0
        for step, seconds in [*steps, *[("pass", 1.0)] * 7]:
            if step == "wait":
                call.wait()
                waiting += 1
            elif step == "work" and waiting:
                call.work()
                waiting -= 1
            elif step == "pass":
                loop.now += seconds
                worked, waited = (worked, waited + seconds) if waiting else (worked + seconds, waited)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            over = worked > DEADLINE + 1e-6 or waited > PATIENCE + 1e-6
            if over or answers:
                assert len(answers) == 1
                assert worked > DEADLINE - 1e-6 or waited > PATIENCE - 1e-6
                return
        pytest.fail("it never ends")

    async def never() -> Decision:
        await asyncio.Event().wait()
        return Accept("nobody")

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
