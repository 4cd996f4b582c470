"""Call an authenticator so that, whatever it does, the outcome is a decision in time.

Rule 1: an exception of any kind, a missed deadline and an answer that is not a sound decision become `Unavailable`, and
        are logged as a defect of that authenticator by name.
Rule 2: the text of an exception may hold a secret: its type and its place are logged, never its message.
Rule 3: a thread that hangs cannot be stopped. It keeps one of this authenticator's workers; no other authenticator
        waits for it, and the process ends without it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Protocol, TypeVar, cast

from ..contract import Attempt, Authenticator, Decision, IdentityType, Unavailable
from ..errors import DicomgateError, PluginError, StartError, place
from ..kit.threads import QUEUE_PER_THREAD, THREADS
from .decision_check import Defect, check_decision
from .groups import GroupSource
from .members import read_members

_log = logging.getLogger("dicomgate.auth")

DEFAULT_DEADLINE = timedelta(seconds=2)
DEFAULT_WORKERS = THREADS
_QUEUE_PER_WORKER = QUEUE_PER_THREAD
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


class Link:
    """One authenticator under its configured name. Plain methods are called in threads, here and nowhere else.

    Use it as an async context manager: an authenticator that is one is entered and left with it.
    """

    def __init__(
        self,
        name: str,
        authenticator: Authenticator,
        *,
        deadline: timedelta = DEFAULT_DEADLINE,
        workers: int = DEFAULT_WORKERS,
        next_on_error: bool = False,
        groups_from: GroupSource | None = None,
    ) -> None:
        """Raises PluginError for an object that is not an authenticator."""
        authenticate = getattr(authenticator, "authenticate", None)
        if not callable(authenticate):
            raise PluginError(f"{name}: {type(authenticator).__name__} has no method authenticate(attempt)")
        self.name = name
        self.next_on_error = next_on_error
        self.groups_from = groups_from
        self._authenticator = authenticator
        self.deadline = deadline.total_seconds()
        self.members = read_members(name, authenticator)
        self._stack = AsyncExitStack()
        self._asynchronous = inspect.iscoroutinefunction(authenticate)
        self._authenticate: Callable[[Attempt], object] = authenticate
        self._free_workers = asyncio.Semaphore(workers)
        self._longest_queue = workers * _QUEUE_PER_WORKER
        self._queue = 0

    def handles(self, kind: IdentityType | None) -> bool:
        """True if attempts of this identity type (None: without identity) are shown to the authenticator."""
        handles = self.members.handles
        return handles is None or kind in handles

    async def __aenter__(self) -> Link:
        """Raises StartError, with the authenticator's name."""
        if hasattr(self._authenticator, "__aenter__"):
            try:
                await self._stack.enter_async_context(cast(AbstractAsyncContextManager[object], self._authenticator))
            except DicomgateError as error:
                raise StartError(f"authenticator {self.name}: {error}") from error
            except Exception as error:  # noqa: BLE001
                raise StartError(f"authenticator {self.name} failed to start: {place(error)}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A defect here must not keep the other authenticators from being left, nor the gateway from stopping.
        try:
            await self._stack.aclose()
        except Exception as failure:  # noqa: BLE001
            _log.error("authenticator %s has a defect: it failed to stop: %s", self.name, place(failure))

    async def ask(self, attempt: Attempt) -> Decision:
        """The authenticator's decision, or `Unavailable` within the deadline. Raises only if cancelled."""
        return await answered(partial(self.begin, attempt))

    def begin(self, attempt: Attempt, done: Callable[[Decision], None]) -> Pending:
        """As `ask`, but calls `done` with the decision: once, and never before this returns."""
        loop = asyncio.get_running_loop()
        if self._queue >= self._longest_queue:
            why = f"{self._queue} attempts are waiting for it already"
            return loop.call_soon(done, self._unavailable(attempt, why))
        task = loop.create_task(self._decide(attempt))
        if not self._asynchronous:  # only a plain method waits for a worker
            self._queue += 1
            task.add_done_callback(self._leave_queue)
        return Call(task, self.deadline, partial(self._unavailable, attempt), done)

    def _leave_queue(self, _: asyncio.Task[Decision | Defect]) -> None:
        self._queue -= 1

    def _unavailable(self, attempt: Attempt, why: str) -> Unavailable:
        # Logged here because the chain may go on and another link accept: the decision's record would not show it.
        _log.error("%s: authenticator %s: %s", attempt.id, self.name, why)
        return Unavailable(why)

    async def _decide(self, attempt: Attempt) -> Decision | Defect:
        # Nothing may escape from here: SystemExit in a task would end the event loop, and with it every association.
        try:
            if self._asynchronous:
                return check_decision(await cast(Awaitable[object], self._authenticate(attempt)))
            answer = await self._call_in_thread(attempt)
            return answer if isinstance(answer, Defect) else check_decision(answer)
        except BaseException as error:  # noqa: BLE001
            return Defect(place(error))

    async def _call_in_thread(self, attempt: Attempt) -> object:
        loop = asyncio.get_running_loop()
        answered_by_thread = loop.create_future()

        def work() -> None:
            try:
                answer = self._authenticate(attempt)
            except BaseException as error:  # noqa: BLE001
                answer = Defect(place(error))
            with suppress(RuntimeError):  # the event loop ended before the thread did
                loop.call_soon_threadsafe(finish, answer)

        def finish(answer: object) -> None:
            self._free_workers.release()
            _resolve(answered_by_thread, answer)

        # Waiting for a worker happens here, where giving up leaves nothing behind. The threads are daemons: those of an
        # executor are joined when the process ends, and one that hangs would keep it alive for ever.
        await self._free_workers.acquire()
        try:
            threading.Thread(target=work, name=f"authenticator {self.name}", daemon=True).start()
        except BaseException:
            self._free_workers.release()
            raise
        return await answered_by_thread


class Call:
    """One call of one authenticator: the task that it runs in, which may never end, and the deadline.

    `done` is called once with the decision. No second task waits for the first: that would double the cost of a login.
    """

    __slots__ = ("_done", "_task", "_timer", "_unavailable")

    def __init__(
        self,
        task: asyncio.Task[Decision | Defect],
        deadline: float,
        unavailable: Callable[[str], Unavailable],
        done: Callable[[Decision], None],
    ) -> None:
        """`deadline` is in seconds. `unavailable` logs why there is no decision, and makes one of it."""
        self._task: asyncio.Task[Decision | Defect] | None = task
        self._unavailable = unavailable
        self._done = done
        self._timer = asyncio.get_running_loop().call_later(deadline, self._too_late, deadline)
        task.add_done_callback(self._answered)

    def cancel(self) -> None:
        """Give up: `done` is not called any more. No effect once it was."""
        self._timer.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.remove_done_callback(self._answered)
            task.cancel()
        self._done = _ignore

    def _too_late(self, deadline: float) -> None:
        done = self._done
        self.cancel()
        done(self._unavailable(f"no answer within {deadline:g} s"))

    def _answered(self, task: asyncio.Task[Decision | Defect]) -> None:
        if self._task is None:
            return  # it was cancelled while this callback was on its way
        # The caller refers to this call. Without references back, nothing is left for the garbage collector.
        self._task, done, self._done = None, self._done, _ignore
        self._timer.cancel()
        broken = task.cancelled() or task.exception() is not None
        answer = Defect("it broke the task it ran in") if broken else task.result()
        done(self._unavailable(f"defect: {answer.what}") if isinstance(answer, Defect) else answer)


def _ignore(_: Decision) -> None:
    """Called once the caller has its answer, or wants none."""
