"""One call of one plugin, and its time: the plugin's to work, the attempt's to wait.

`kit.patience` says which of the two passes; that begins with the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Generic, TypeVar

from ..contract import Unavailable
from ..kit.addresses import source_of
from .decision_check import Defect

_Answer = TypeVar("_Answer")
_NO_TURN = "more attempts came at once than can be verified, and this one's turn did not come within its patience"


class Call(Generic[_Answer]):
    """The task that a plugin runs in, which may never end, and a timer.

    `done` is called once with the answer. No second task waits for the first: that would double the cost of a login.
    """

    __slots__ = ("_address", "_deadline", "_done", "_left", "_loop", "_task", "_timer", "_unavailable", "_waits",
                 "looked", "patience")  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: str,
        deadline: float,
        patience: float,
        unavailable: Callable[[str], Unavailable],
        done: Callable[[_Answer | Unavailable], None],
    ) -> None:
        """The times are in seconds. `unavailable` logs why there is no answer, and makes one of it."""
        self.patience = patience
        self.looked = False
        self._address = address
        self._deadline = self._left = deadline
        self._unavailable = unavailable
        self._done = done
        self._task: asyncio.Task[_Answer | Unavailable | Defect] | None = None
        self._loop = loop
        self._waits = 0  # parts of the plugin that wait now
        self._timer = self._loop.call_later(deadline, self._too_late)

    def begin(self, deciding: Coroutine[object, object, _Answer | Unavailable | Defect]) -> None:
        """Begin to decide."""
        self._task = self._loop.create_task(deciding)
        self._task.add_done_callback(self._answered)

    @property
    def source(self) -> str:
        """Who asks, for the line."""
        return source_of(self._address)

    def wait(self) -> None:
        """From now on the attempt waits, and its patience passes."""
        if self._task is not None:
            self._waits += 1
            if self._waits == 1:
                self._left = self._pass(self.patience)

    def work(self) -> None:
        """From now on the plugin works, and its deadline passes."""
        if self._task is not None:
            self._waits -= 1
            if not self._waits:
                self.patience = self._pass(self._left)

    def _pass(self, seconds: float) -> float:
        """Let this time pass from now on. Returns what is left of the one that has passed so far."""
        left = self._timer.when() - self._loop.time()
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._too_late)
        return left

    def cancel(self) -> None:
        """Give up: `done` is not called any more. No effect once it was."""
        self._timer.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.remove_done_callback(self._answered)
            task.cancel()
        self._forget()

    def _too_late(self) -> None:
        done, unavailable = self._done, self._unavailable
        why = _NO_TURN if self._waits else f"no answer within {self._deadline:g} s"
        self.cancel()
        done(self._looked(unavailable(why)))

    def _answered(self, task: asyncio.Task[_Answer | Unavailable | Defect]) -> None:
        if self._task is None:
            return  # it was cancelled while this callback was on its way
        done, unavailable = self._done, self._unavailable
        self._task = None
        self._forget()
        self._timer.cancel()
        broken = task.cancelled() or task.exception() is not None
        answer = Defect("it broke the task it ran in") if broken else task.result()
        decision = unavailable(f"defect: {answer.what}") if isinstance(answer, Defect) else answer
        done(self._looked(decision) if isinstance(decision, Unavailable) else decision)

    def _forget(self) -> None:
        """Refer to nothing: a connection that was opened meanwhile refers to this call as long as it lives.

        The attempt has a passcode in it. And the caller refers to this call: nothing is left for the garbage collector.
        """
        self._done, self._unavailable = _ignore, Unavailable

    def _looked(self, unavailable: Unavailable) -> Unavailable:
        return replace(unavailable, looked=True) if self.looked else unavailable


def _ignore(_: object) -> None:
    """Called once the caller has its answer, or wants none."""
