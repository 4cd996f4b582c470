"""An object of a plugin, called so that, whatever it does, there is an answer in time.

Rule 1: an exception of any kind, a missed deadline and an answer that is not sound become `Unavailable`, and are logged
        as a defect of that plugin by name.
Rule 2: the text of an exception may hold a secret: its type and its place are logged, never its message.
Rule 3: a thread that hangs cannot be stopped. It keeps one of this object's workers; no other object waits for it, and
        the process ends without it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar, cast

from ..contract import Unavailable
from ..errors import DicomgateError, PluginError, StartError, place
from ..kit.line import Line, LineTooLongError
from ..kit.patience import asking, waited
from .call import Call
from .decision_check import Defect
from .members import read_members
from .workers import Workers

_log = logging.getLogger("dicomgate.auth")
_Answer = TypeVar("_Answer")


class Pending(Protocol):
    """A question under way, as each `begin(..., done)` returns it."""

    def cancel(self) -> object:
        """Give up: `done` is not called any more. No effect once it was."""


async def answered(begin: Callable[[Callable[[_Answer], None]], Pending]) -> _Answer:
    """Begin a question and await its answer. `begin` gets `done`; if the caller is cancelled, so is the question."""
    answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
    pending = begin(partial(_resolve, answer))
    try:
        return await answer
    finally:
        pending.cancel()


def _resolve(future: asyncio.Future[_Answer], answer: _Answer) -> None:
    if not future.done():  # cancelled in the same turn of the loop
        future.set_result(answer)


@dataclass(frozen=True, slots=True)
class Method(Generic[_Answer]):
    """A method of a plugin that answers questions. `check` judges its answers."""

    call: Callable[..., object]
    check: Callable[[object], _Answer | Defect]
    asynchronous: bool


class Plugged:
    """One object of a plugin under its configured name. Plain methods are called in threads, here and nowhere else.

    Use it as an async context manager: an object that is one is entered and left with it.
    """

    def __init__(self, word: str, name: str, plugin: object, deadline: float, patience: float, workers: int) -> None:
        """`word` is what it is, for messages. Times are in seconds. Raises PluginError for a member of a wrong type."""
        self.name = name
        self.members = read_members(name, plugin)
        self.deadline = deadline
        self.patience = patience
        self._called = f"{word} {name}"
        self._plugin = plugin
        self._stack = AsyncExitStack()
        self._line = Line(workers)
        self._workers = Workers(self._called)
        self._loop: asyncio.AbstractEventLoop | None = None  # kept: before Python 3.12, to ask for it is a system call

    def method(self, name: str, check: Callable[[object], _Answer | Defect]) -> Method[_Answer]:
        """The plugin's method of this name. Raises PluginError if it has none."""
        call = getattr(self._plugin, name, None)
        if not callable(call):
            raise PluginError(f"{self.name}: {type(self._plugin).__name__} has no method {name}")
        return Method(call, check, inspect.iscoroutinefunction(call))

    async def __aenter__(self) -> Self:
        """Raises StartError, with its name."""
        self._loop = asyncio.get_running_loop()
        self._workers.reopen()
        if hasattr(self._plugin, "__aenter__"):
            try:
                await self._stack.enter_async_context(cast(AbstractAsyncContextManager[object], self._plugin))
            except DicomgateError as error:
                raise StartError(f"{self._called}: {error}") from error
            except Exception as error:  # noqa: BLE001
                raise StartError(f"{self._called} failed to start: {place(error)}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop = None
        self._workers.close()
        # A defect here must not keep the other plugins from being left, nor the gateway from stopping.
        try:
            await self._stack.aclose()
        except Exception as failure:  # noqa: BLE001
            _log.error("%s has a defect: it failed to stop: %s", self._called, place(failure))

    def ask_about(
        self,
        method: Method[_Answer],
        question: tuple[object, ...],
        association_id: str,
        address: str,
        done: Callable[[_Answer | Unavailable], None],
    ) -> Pending:
        """Call `done` with the answer: once, within the deadline, and never before this returns.

        The questions of an association, and of its client's `address`, take turns with others where they wait. Without
        an association, whoever asks logs why there is no answer.
        """
        patience = max(0.0, self.patience - waited.get())
        loop = self._loop or asyncio.get_running_loop()
        unavailable = partial(self._unavailable, association_id) if association_id else Unavailable
        call: Call[_Answer] = Call(loop, address, self.deadline, patience, unavailable, done)
        deciding = self._decide(method, question)
        before = asking.set(call)  # the task gets a copy of this context
        try:
            call.begin(deciding)
        finally:
            asking.reset(before)
        return call

    def _unavailable(self, association_id: str, why: str) -> Unavailable:
        # Logged here because the chain may go on and another link accept: the decision's record would not show it.
        _log.error("%s: %s: %s", association_id, self._called, why)
        return Unavailable(why)

    async def _decide(self, method: Method[_Answer], question: tuple[object, ...]) -> _Answer | Unavailable | Defect:
        # Nothing may escape from here: SystemExit in a task would end the event loop, and with it every association.
        try:
            if method.asynchronous:
                return method.check(await cast(Awaitable[object], method.call(*question)))
            answer = await self._call_in_thread(method, question)
            return answer if isinstance(answer, Defect) else method.check(answer)
        except LineTooLongError as error:
            return Unavailable(str(error))
        except BaseException as error:  # noqa: BLE001
            return Defect(place(error))

    async def _call_in_thread(self, method: Method[_Answer], question: tuple[object, ...]) -> object:
        # Waiting for a worker happens here, where giving up leaves nothing behind.
        await self._line.enter()
        loop = asyncio.get_running_loop()
        answered_by_thread = loop.create_future()
        began = loop.time()

        def work() -> None:
            try:
                answer = method.call(*question)
            except BaseException as error:  # noqa: BLE001
                answer = Defect(place(error))
            with suppress(RuntimeError):  # the event loop ended before the thread did
                loop.call_soon_threadsafe(finish, answer)

        def finish(answer: object) -> None:
            self._line.leave(loop.time() - began)
            _resolve(answered_by_thread, answer)

        try:
            self._workers.run(work)
        except BaseException:
            self._line.leave(0)
            raise
        return await answered_by_thread
