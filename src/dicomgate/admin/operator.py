"""What an operator may ask of the running gateway, and do to it; each deed is in the audit.

The control socket and the status page do nothing else than call these. `by` says who asks: `uid 1000 (alice)`, or
`staff/alice`. What only looks may be called in any thread. What does something may be awaited in any event loop, and is
done in the gateway's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..errors import DicomgateError, StateUnavailable
from ..events.events import Cause, Operated
from ..kit.durations import duration_text
from ..run.server import Server
from ..sessions.listed import SessionStatus, session_status
from ..sessions.register import Session
from ..state.protocol import Count
from .status import Status, status_of
from .watch import Watch

_P = ParamSpec("_P")
_Result = TypeVar("_Result")
_GONE = "there is no such association any more"
_NOBODY = "this user has no association"


def _in_the_gateway(
    deed: Callable[Concatenate[Operator, _P], Coroutine[Any, Any, _Result]],
) -> Callable[Concatenate[Operator, _P], Coroutine[Any, Any, _Result]]:
    """It is done in the gateway's event loop, in whichever loop it is awaited."""

    @wraps(deed)
    async def call(self: Operator, /, *args: _P.args, **kwargs: _P.kwargs) -> _Result:
        done = deed(self, *args, **kwargs)
        if asyncio.get_running_loop() is self.loop:
            return await done
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done, self.loop))

    return call


class Operator:
    """Everything that may be done to one running gateway. `drain` begins to end it, as SIGTERM does."""

    def __init__(self, server: Server, drain: Callable[[], None]) -> None:
        self.loop = server.loop
        self._server = server
        self._drain = drain
        self._watch = Watch()
        server.records.watchers.append(self._watch)

    def status(self) -> Status:
        """What is going on."""
        return status_of(self._server, self._watch)

    def sessions(self) -> Iterator[SessionStatus]:
        """The associations under way, the oldest first, each as it is when the iterator gives it."""
        node = self._server.node
        return (session_status(session, node) for session in self._server.register if not session.over)

    @_in_the_gateway
    async def kick(self, session_id: str, by: str, reason: str = "") -> int:
        """End an association; the number of those that were ended: 1, or 0 if there is none of this id."""
        session = self._server.register.get(session_id)
        found = [] if session is None or session.over else [session]
        self._tell("kick", session_id, by, reason, "" if found else _GONE)
        return self._end(found, by, reason)

    @_in_the_gateway
    async def kick_user(
        self, user: str, by: str, reason: str = "", refused_for: timedelta | None = None, authenticator: str = ""
    ) -> int:
        """End all associations of a user, and refuse new ones for so long; the number of those that were ended.

        `authenticator` says whose user it is, "" any. With no time at all, the user is let in again, and keeps what is
        there. Raises DicomgateError if too many are shut out.
        """
        name = f"{authenticator}/{user}" if authenticator else user
        if refused_for is None:
            sessions = self._server.register.of_user(user, authenticator)
            self._tell("kick user", name, by, reason, "" if sessions else _NOBODY)
            return self._end(sessions, by, reason)
        lasting = f"for {duration_text(refused_for)}{reason and ': '}{reason}"
        try:
            # Before the ends: a client that comes again at once is refused.
            self._server.users.shut_outs.add(user, refused_for.total_seconds(), _why(by, reason), authenticator)
        except DicomgateError as error:
            self._tell("shut out", name, by, lasting, str(error))
            raise
        self._tell("shut out", name, by, lasting)
        return self._end(self._server.register.of_user(user, authenticator) if refused_for else [], by, reason)

    @_in_the_gateway
    async def throttled(self) -> list[Count]:
        """The counters of failed logins. Raises StateUnavailable."""
        return await self._server.generation.protection.state.counters()

    @_in_the_gateway
    async def clear(self, keys: Sequence[str] | None, by: str) -> int:
        """Clear these counters (None: all); the number of those that there were. Raises StateUnavailable."""
        target = "all counters" if keys is None else " ".join(keys)
        try:
            cleared = await self._server.generation.protection.state.clear(keys)
        except StateUnavailable as error:
            self._tell("clear", target, by, "", str(error))
            raise
        self._tell("clear", target, by, "", "" if cleared or keys is None else "nothing is counted under these keys")
        return cleared

    @_in_the_gateway
    async def reload(self, by: str) -> tuple[str, ...]:
        """Read the configuration again: (), or why it cannot be used. Then nothing has changed."""
        problems = await self._server.reload()
        self._tell("reload", "", by, "", "; ".join(problems))
        return problems

    @_in_the_gateway
    async def drain(self, by: str) -> None:
        """Begin to drain: as SIGTERM does. Nothing happens if it drains already."""
        self._tell("drain", "", by)
        if not self._server.history.draining:
            self._drain()

    @_in_the_gateway
    async def note(self, action: str, target: str, by: str, reason: str = "", problem: str = "") -> None:
        """Record what was done elsewhere, such as a login at the page."""
        self._tell(action, target, by, reason, problem)

    def _end(self, sessions: Sequence[Session], by: str, reason: str) -> int:
        for session in sessions:
            session.end(Cause.KICKED, _why(by, reason))
        return len(sessions)

    def _tell(self, action: str, target: str, by: str, reason: str = "", problem: str = "") -> None:
        self._server.records.operated(Operated(datetime.now(UTC), action, target, by, reason, problem))


def _why(by: str, reason: str) -> str:
    return f"{by}{reason and ': '}{reason}"
