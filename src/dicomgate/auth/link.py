"""Call an authenticator so that whatever it does, the outcome is a decision in time.

Law: an exception of any kind, a missed deadline, an answer of another type and an `Accept` that does not hold
together are `Unavailable`, and logged as a defect of that authenticator by name. What an exception says may hold a
secret: its type and its place are logged, never its message.

A thread that hangs cannot be stopped. It keeps its place among this authenticator's workers; nothing queues up behind
it, and the process ends without it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from types import TracebackType
from typing import TypeVar, cast

from ..contract import Accept, Attempt, Authenticator, Decision, IdentityType, Once, Pass, Reject, Unavailable
from ..errors import DicomgateError, PluginError, StartError, place
from .groups import GroupSource

_log = logging.getLogger("dicomgate.auth")

DEFAULT_DEADLINE = timedelta(seconds=2)
DEFAULT_WORKERS = max(1, (os.cpu_count() or 1) - 1)
"""One core is left to the event loop while hashes are computed."""
_WAITING_FOR_EACH_WORKER = 32
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class _Failure:
    what: str


class Link:
    """One authenticator under its configured name: the sync/async border is crossed here, and nowhere else.

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
        authenticate = getattr(authenticator, "authenticate", None)
        if not callable(authenticate):
            raise PluginError(f"{name}: {type(authenticator).__name__} has no method authenticate(attempt)")
        self.name = name
        self.next_on_error = next_on_error
        self.groups_from = groups_from
        self._authenticator = authenticator
        self.deadline = deadline.total_seconds()
        self._handles = _read_handles(name, authenticator)
        self._stack = AsyncExitStack()
        self._asynchronous = inspect.iscoroutinefunction(authenticate)
        self._authenticate: Callable[[Attempt], object] = authenticate
        self._free_workers = asyncio.Semaphore(workers)
        self._most_waiting = workers * _WAITING_FOR_EACH_WORKER
        self._waiting = 0

    def handles(self, kind: IdentityType | None) -> bool:
        """True if attempts of this identity type (None: without identity) are shown to the authenticator."""
        return self._handles is None or kind in self._handles

    async def __aenter__(self) -> Link:
        """Raises StartError, with the authenticator's name."""
        if hasattr(self._authenticator, "__aenter__"):
            try:
                await self._stack.enter_async_context(cast(AbstractAsyncContextManager[object], self._authenticator))
            except DicomgateError as error:
                raise StartError(f"authenticator {self.name}: {error}") from error
            except Exception as error:  # noqa: BLE001
                raise StartError(f"authenticator {self.name} could not be entered: {place(error)}") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A defect here must keep neither the others from being left nor the gateway from stopping.
        try:
            await self._stack.aclose()
        except Exception as failure:  # noqa: BLE001
            _log.error("authenticator %s has a defect: it could not be left: %s", self.name, place(failure))

    async def ask(self, attempt: Attempt) -> Decision:
        """The authenticator's decision, or `Unavailable` within the deadline. Raises only if cancelled."""
        decided: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        asking = Asking(self, attempt, resolve(decided))
        try:
            return await decided
        finally:
            asking.cancel()

    def _full(self) -> bool:
        return self._waiting >= self._most_waiting and not self._asynchronous  # an asynchronous one waits for no worker

    def _unavailable(self, attempt: Attempt, why: str) -> Unavailable:
        # Here, because the chain may go on and another link accept: the decision's record would not tell.
        _log.error("%s: authenticator %s: %s", attempt.id, self.name, why)
        return Unavailable(why)

    async def _call(self, attempt: Attempt) -> Decision | _Failure:
        # Nothing may escape from here: SystemExit in a task would end the event loop, and with it every association.
        try:
            if self._asynchronous:
                return _checked(await cast(Awaitable[object], self._authenticate(attempt)))
            answer = await self._ask_in_thread(attempt)
            return answer if isinstance(answer, _Failure) else _checked(answer)
        except BaseException as error:  # noqa: BLE001
            return _Failure(place(error))

    async def _ask_in_thread(self, attempt: Attempt) -> object:
        loop = asyncio.get_running_loop()
        answered = loop.create_future()

        def work() -> None:
            try:
                answer = self._authenticate(attempt)
            except BaseException as error:  # noqa: BLE001
                answer = _Failure(place(error))
            with suppress(RuntimeError):  # the event loop ended before the thread did
                loop.call_soon_threadsafe(finish, answer)

        def finish(answer: object) -> None:
            self._free_workers.release()
            if not answered.done():
                answered.set_result(answer)

        # Who waits for a worker waits here, where giving up leaves nothing behind. The threads are daemons: those of an
        # executor are joined when the process ends, and one that hangs would keep it alive for ever.
        await self._free_workers.acquire()
        try:
            threading.Thread(target=work, name=f"authenticator {self.name}", daemon=True).start()
        except BaseException:
            self._free_workers.release()
            raise
        return await answered


class Asking:
    """One question to one authenticator. `done` is called once, and never before this exists, with the decision.

    There is no task but the one that the authenticator runs in, which may not end: nothing waits for it.
    """

    __slots__ = ("_attempt", "_call", "_done", "_link", "_timer")

    def __init__(self, link: Link, attempt: Attempt, done: Callable[[Decision], None]) -> None:
        loop = asyncio.get_running_loop()
        self._link = link
        self._attempt = attempt
        self._done = done
        self._call: asyncio.Task[Decision | _Failure] | None = None
        if link._full():
            why = f"{link._waiting} attempts are waiting for it already"
            self._timer: asyncio.Handle = loop.call_soon(done, link._unavailable(attempt, why))
            return
        link._waiting += 1
        self._call = loop.create_task(link._call(attempt))
        self._call.add_done_callback(self._answered)
        self._timer = loop.call_later(link.deadline, self._too_late)

    def cancel(self) -> None:
        """Ask no more: `done` is not called. Once it was, nothing happens."""
        self._stop()
        self._done = _nothing

    def _stop(self) -> None:
        self._timer.cancel()
        call, self._call = self._call, None
        if call is not None:
            self._link._waiting -= 1
            call.remove_done_callback(self._answered)
            call.cancel()

    def _too_late(self) -> None:
        self._stop()
        self._end(self._link._unavailable(self._attempt, f"no answer within {self._link.deadline:g} s"))

    def _answered(self, call: asyncio.Task[Decision | _Failure]) -> None:
        if self._call is None:
            return  # it was cancelled while this call was on its way
        self._call = None
        self._link._waiting -= 1
        self._timer.cancel()
        broken = call.cancelled() or call.exception() is not None
        answer = _Failure("it broke the task it ran in") if broken else call.result()
        if isinstance(answer, _Failure):
            answer = self._link._unavailable(self._attempt, f"defect: {answer.what}")
        self._end(answer)

    def _end(self, decision: Decision) -> None:
        # Who asked refers to us, and is referred to no more: nothing is left for the garbage collector.
        done, self._done = self._done, _nothing
        done(decision)


def resolve(future: asyncio.Future[_Answer]) -> Callable[[_Answer], None]:
    """What sets the result of a future, unless who awaited it has left."""

    def settle(answer: _Answer) -> None:
        if not future.done():
            future.set_result(answer)

    return settle


def _nothing(_: Decision) -> None:
    """Stands where nobody awaits a decision."""


def _read_handles(name: str, authenticator: Authenticator) -> frozenset[object] | None:
    try:
        handles = getattr(authenticator, "handles", None)
        if handles is None:
            return None
        return frozenset(kind if kind is None else IdentityType(kind) for kind in handles)
    except Exception:  # noqa: BLE001
        raise PluginError(f"{name}: handles must be a collection of IdentityType and None") from None


def _checked(answer: object) -> Decision | _Failure:
    """The answer itself if it is a decision that holds together."""
    if type(answer) in (Reject, Pass, Unavailable):
        reason = cast(Reject | Pass | Unavailable, answer).reason
        return cast(Decision, answer) if isinstance(reason, str) else _Failure("its reason is not text")
    if inspect.iscoroutine(answer):
        answer.close()
        return _Failure("it answered with a coroutine: its authenticate is not an async def that awaits its answer")
    if type(answer) is not Accept:
        return _Failure(f"it answered with {type(answer).__name__}, which is no decision")
    if not isinstance(answer.user, str) or not answer.user:
        return _Failure("it accepted without a user")
    if not isinstance(answer.groups, frozenset) or not _is_text(answer.groups):
        return _Failure("its groups are not a frozenset of text")
    if not isinstance(answer.server_response, bytes | None):
        return _Failure("its server_response is not bytes")
    if answer.expires_at is not None and not _is_moment(answer.expires_at):
        return _Failure("its expires_at is not a datetime with a time zone")
    once = answer.once
    if once is not None and not (isinstance(once, Once) and _is_text([once.key]) and _is_moment(once.until)):
        return _Failure("its once is not a key in text and a datetime with a time zone")
    attributes = answer.attributes
    if not isinstance(attributes, Mapping):
        return _Failure("its attributes are not a mapping")
    plain = dict(attributes)
    if not _is_text(plain) or not _is_text(plain.values()):
        return _Failure("its attributes are not text by text")
    if type(attributes) is dict and (answer.expires_at is None or type(answer.expires_at.tzinfo) is timezone):
        return answer
    # Plain values: what an object of the authenticator's own does later must not be a defect of ours.
    return replace(answer, attributes=plain, expires_at=answer.expires_at and answer.expires_at.astimezone(UTC))


def _is_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.utcoffset() is not None
