"""Questions to a thread, which answers all those that are waiting in one turn.

To wake a thread, and from there the event loop, takes several times as long as most questions. While the thread is busy
others come, and share the next turn with each other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from threading import Lock
from typing import Any, TypeAlias, TypeVar

_Answer = TypeVar("_Answer")
_MOST = 64
"""Questions in one turn: the first is not answered before the last."""


class Question:
    """One question: the `work` that answers it, and then what that has `found`, or the `error` instead."""

    __slots__ = ("error", "found", "future", "work")

    def __init__(self, work: Callable[[Any], Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future
        self.found: Any = None
        self.error: Exception | None = None


AnswerAll: TypeAlias = Callable[[Sequence[Question]], None]


class Questions:
    """Questions to the one thread of `executor`. Used in one event loop at a time.

    An error is that of all questions of a turn if it is one of `of_all`. Otherwise one of them may be at fault, and
    each is asked again alone.
    """

    def __init__(self, executor: Executor, of_all: tuple[type[Exception], ...]) -> None:
        self._executor = executor
        self._of_all = of_all
        self._waiting: deque[Question] = deque()
        self._lock = Lock()
        self._busy = False

    async def ask(self, work: Callable[[Any], _Answer], answer_all: AnswerAll) -> _Answer:
        """What was found, or raise the error. A caller that is cancelled before its turn leaves nothing behind.

        `answer_all`, always the same, is called in the thread: it sets what was found for each question, or raises.
        """
        # It is not kept: it belongs to the owner of this, whose thread ends with it.
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        question = Question(work, answer)
        with self._lock:
            self._waiting.append(question)
            idle, self._busy = not self._busy, True
        if idle:
            self._executor.submit(self._answer_waiting, answer_all)
        return await answer

    # From here on in the thread.

    def _answer_waiting(self, answer_all: AnswerAll) -> None:
        while questions := self._next():
            self._answer_together(questions, answer_all)
            with suppress(RuntimeError):  # the event loop has ended
                questions[0].future.get_loop().call_soon_threadsafe(_tell, questions)

    def _next(self) -> list[Question]:
        with self._lock:
            turn = [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]
            self._busy = bool(turn)
        wanted = [question for question in turn if not question.future.cancelled()]
        return wanted if wanted or not turn else self._next()

    def _answer_together(self, questions: Sequence[Question], answer_all: AnswerAll) -> None:
        try:
            answer_all(questions)
        except Exception as error:  # noqa: BLE001 (the callers', who get it)
            for question in questions:
                question.error = error
            if len(questions) > 1 and not isinstance(error, self._of_all):
                for question in questions:
                    question.error = None
                    self._answer_together([question], answer_all)


def _tell(questions: Sequence[Question]) -> None:
    for question in questions:
        if question.future.cancelled():
            continue
        if question.error is None:
            question.future.set_result(question.found)
        else:
            question.future.set_exception(question.error)
