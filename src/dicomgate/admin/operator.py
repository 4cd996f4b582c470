"""What an operator may ask of the running gateway, and do to it; each deed is in the audit.

The control socket and the status page do nothing else than call these. `by` says who asks: `uid 1000 (alice)`, or
`staff/alice`. What only looks may be called in any thread. What does something may be awaited in any event loop, and is
done in the gateway's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..config.load import Configuration
from ..errors import ConfigError, DicomgateError, StartError, StateUnavailable
from ..events.events import Operated
from ..net.pool import Order
from ..run.protection import configured_state
from ..run.server import Server
from ..sessions.asking import Heard
from ..sessions.kick import LONGEST, Kick, carry_out
from ..sessions.listed import SessionStatus, session_status
from ..state.protocol import Count
from .status import AddressStatus, Status, addresses_of, status_of
from .watch import Watch

_P = ParamSpec("_P")
_Result = TypeVar("_Result")
_GONE = "there is no such association any more"
_NOBODY = "this user has no association"


@dataclass(frozen=True, slots=True)
class Ended:
    """How many associations each gateway has ended, by node.

    `silent` are gateways that did not answer: each does it once it hears of it, if that is within a minute. `problem`:
    why the others could not be asked; else "".
    """

    nodes: dict[str, int]
    silent: tuple[str, ...]
    problem: str

    @property
    def total(self) -> int:
        """At all of them."""
        return sum(self.nodes.values())


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
        self._drain: Callable[[], None] | None = drain
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
    async def sessions_elsewhere(self) -> Heard[SessionStatus]:
        """Those of the other gateways on the same Redis. It takes about a second, and three if one does not answer."""
        return await self._server.everywhere.sessions()

    @_in_the_gateway
    async def kick(self, session_ids: Sequence[str], by: str, reason: str = "") -> Ended:
        """End associations; those that are not this gateway's, at the others."""
        kick = Kick(by=by, reason=reason, session_ids=tuple(dict.fromkeys(session_ids)))
        here = carry_out(kick, self._server.register, self._server.users.shut_outs)
        for session_id in here:
            self._record(kick.operated(session_id))
        sought = tuple(one for one in kick.session_ids if one not in here)
        heard: Heard[str] = Heard()
        if sought:
            heard = await self._server.everywhere.kick(replace(kick, session_ids=sought))
        found = {one for ids in heard.answers.values() for one in ids}
        for session_id in sought:
            self._record(kick.operated(session_id, "" if session_id in found else _not_done(_GONE, heard)))
        return self._ended(here, heard)

    @_in_the_gateway
    async def kick_user(
        self, user: str, by: str, reason: str = "", refused_for: timedelta | None = None, authenticator: str = ""
    ) -> Ended:
        """End all associations of a user, at the other gateways too, and refuse new ones for so long.

        `authenticator` says whose user it is, "" any. With no time at all, the user is let in again, and keeps what is
        there. Raises DicomgateError if too many are shut out, or one for more than a year.
        """
        seconds = None if refused_for is None else refused_for.total_seconds()
        if seconds is not None and seconds > LONGEST:
            raise DicomgateError("a user is shut out for a year at most")
        kick = Kick(by=by, reason=reason, user=user, authenticator=authenticator, refused_for=seconds)
        try:
            here = carry_out(kick, self._server.register, self._server.users.shut_outs)
        except DicomgateError as error:
            self._record(kick.operated(problem=str(error)))
            raise
        if done := bool(here) or refused_for is not None:
            self._record(kick.operated())
        heard = await self._server.everywhere.kick(kick)
        ended = self._ended(here, heard)
        if not done:
            self._record(kick.operated(problem="" if ended.total else _not_done(_NOBODY, heard)))
        return ended

    async def throttled(self) -> list[Count]:
        """The counters of failed logins. Raises StateUnavailable.

        There may be 100,000: a thread reads them by a connection of its own, so that no login waits for it.
        """
        return await asyncio.to_thread(_counters, self._server.generation.assembly.configuration)

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
        drain, self._drain = self._drain, None  # once: twice would mean to end at once
        if drain is not None and not self._server.history.draining:
            drain()

    @_in_the_gateway
    async def order(self, upstream: str, address: str, order: Order, by: str) -> tuple[AddressStatus, ...]:
        """Take one of several addresses out, or let it in again; associations that are there stay.

        Returns how all of them are then. Raises DicomgateError if there is no such address.
        """
        pool = self._server.generation.assembly.pool(upstream)
        member = None if pool is None else next((one for one in pool.members if one.name == address), None)
        problem = "" if member else "the configuration has no such address in a list of addresses"
        self._tell(f"address {order}", f"{upstream} {address}", by, problem=problem)
        if pool is None or member is None:
            raise DicomgateError(f"{upstream} {address}: {problem}")
        pool.ordered(member, order)
        return addresses_of(self._server, upstream)

    @_in_the_gateway
    async def note(self, action: str, target: str, by: str, reason: str = "", problem: str = "") -> None:
        """Record what was done elsewhere, such as a login at the page."""
        self._tell(action, target, by, reason, problem)

    def _ended(self, here: Sequence[str], heard: Heard[str]) -> Ended:
        elsewhere = {node: len(ids) for node, ids in heard.answers.items()}
        return Ended({self._server.node: len(here)} | elsewhere, heard.silent, heard.problem)

    def _tell(self, action: str, target: str, by: str, reason: str = "", problem: str = "") -> None:
        self._record(Operated(datetime.now(UTC), action, target, by, reason, problem))

    def _record(self, deed: Operated) -> None:
        self._server.records.operated(deed)


def _not_done(why: str, heard: Heard[str]) -> str:
    """As far as it is known: some gateways may not have been heard."""
    silent = (f"{', '.join(heard.silent)} did not answer",) if heard.silent else ()
    unasked = (f"other gateways could not be asked: {heard.problem}",) if heard.problem else ()
    return "; ".join((why, *silent, *unasked))


def _counters(configuration: Configuration) -> list[Count]:
    async def read() -> list[Count]:
        state = configured_state(configuration)
        try:
            return await state.counters()
        finally:
            await state.close()

    try:
        return asyncio.run(read())
    except (ConfigError, StartError) as error:
        raise StateUnavailable(str(error)) from error
