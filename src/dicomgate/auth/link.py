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
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Protocol, TypeVar, cast

from ..contract import Attempt, Authenticator, Decision, IdentityType, Unavailable
from ..errors import DicomgateError, PluginError, StartError, place
from ..kit.line import Line, LineTooLongError
from ..kit.patience import asking, waited
from ..kit.threads import THREADS
from .call import Call
from .decision_check import Defect, check_decision
from .groups import GroupSource
from .members import read_members
from .workers import Workers

_log = logging.getLogger("dicomgate.auth")

DEFAULT_DEADLINE = timedelta(seconds=2)
DEFAULT_PATIENCE = timedelta(seconds=4)
"""Clients give up after five seconds or so, and come again: longer waits serve nobody."""
DEFAULT_WORKERS = THREADS
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
        patience: timedelta = DEFAULT_PATIENCE,
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
        self.patience = patience.total_seconds()
        self.members = read_members(name, authenticator)
        self._stack = AsyncExitStack()
        self._asynchronous = inspect.iscoroutinefunction(authenticate)
        self._authenticate: Callable[[Attempt], object] = authenticate
        self._line = Line(workers)
        self._workers = Workers(f"authenticator {name}")
        self._loop: asyncio.AbstractEventLoop | None = None  # kept: before Python 3.12, to ask for it is a system call

    def handles(self, kind: IdentityType | None) -> bool:
        """True if attempts of this identity type (None: without identity) are shown to the authenticator."""
        handles = self.members.handles
        return handles is None or kind in handles

    async def __aenter__(self) -> Link:
        """Raises StartError, with the authenticator's name."""
        self._loop = asyncio.get_running_loop()
        self._workers.reopen()
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
        self._loop = None
        self._workers.close()
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
        patience = max(0.0, self.patience - waited.get())
        loop = self._loop or asyncio.get_running_loop()
        call = Call(loop, attempt.peer.address, self.deadline, patience, partial(self._unavailable, attempt), done)
        before = asking.set(call)  # the task gets a copy of this context
        try:
            call.begin(self._decide(attempt))
        finally:
            asking.reset(before)
        return call

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
        except LineTooLongError as error:
            return Unavailable(str(error))
        except BaseException as error:  # noqa: BLE001
            return Defect(place(error))

    async def _call_in_thread(self, attempt: Attempt) -> object:
        # Waiting for a worker happens here, where giving up leaves nothing behind.
        await self._line.enter()
        loop = asyncio.get_running_loop()
        answered_by_thread = loop.create_future()
        began = loop.time()

        def work() -> None:
            try:
                answer = self._authenticate(attempt)
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
