"""The operator's order: the first answer that is not Pass wins.

Rule 1: no authenticator sees an empty passcode. A directory takes one for an anonymous login, and accepts it.
Rule 2: a link that is unavailable stops the chain, unless its table says `on_error = "next"`.
Rule 3: if no later link accepts then, the answer stays `Unavailable`, never `Reject`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from ..contract import Accept, Attempt, Decision, IdentityType, Pass, Reject, Unavailable
from ..events.events import ReasonClass
from ..kit.text import one_line
from .groups import GroupSource
from .link import Link
from .plugged import Pending, answered

_log = logging.getLogger("dicomgate.auth")


@dataclass(slots=True)
class Verdict:
    """The chain's decision; the link that made it ("" if none did); and the answer of each link that was asked.

    `reason_class` is set by whoever refuses for a reason of its own, around the authenticators. `used_up`: the
    credential may be used once, and this was its use.
    """

    decision: Decision
    authenticator: str = ""
    answers: tuple[tuple[str, Decision], ...] = ()
    reason_class: ReasonClass | None = None
    used_up: bool = False


class Chain:
    """Authenticators in the operator's order. A chain is an `Authenticator` itself."""

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = tuple(links)
        self.patience = max((link.patience for link in links), default=0.0)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Chain:
        async with AsyncExitStack() as stack:
            for link in self.links:
                await stack.enter_async_context(link)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def authenticate(self, attempt: Attempt) -> Decision:
        """The decision alone."""
        return (await self.consult(attempt)).decision

    async def consult(self, attempt: Attempt) -> Verdict:
        """Ask link after link. Raises only if cancelled."""
        return await answered(partial(self.begin, attempt))

    def begin(self, attempt: Attempt, done: Callable[[Verdict], None]) -> Pending:
        """As `consult`, but calls `done` with the verdict: once, and never before this returns."""
        return Consultation(self.links, attempt, done)


class Consultation:
    """One attempt's way along the links.

    It runs on callbacks alone: a task that waits for the answers would take most of the time of a login.
    """

    __slots__ = ("_answers", "_attempt", "_done", "_links", "_pending", "_unavailable")

    def __init__(self, links: Sequence[Link], attempt: Attempt, done: Callable[[Verdict], None]) -> None:
        self._attempt = attempt
        self._done = done
        self._answers: list[tuple[str, Decision]] = []
        self._unavailable: tuple[str, Unavailable] | None = None
        self._pending: Pending
        identity = attempt.identity
        kind = None if identity is None else identity.type
        self._links = iter([link for link in links if link.handles(kind)])
        if identity is not None and kind is IdentityType.USERNAME_AND_PASSCODE and not identity.secondary:
            self._pending = asyncio.get_running_loop().call_soon(done, Verdict(Reject("the passcode is empty")))
        else:
            self._ask_next()

    def cancel(self) -> None:
        """Give up: `done` is not called any more. No effect once it was."""
        self._pending.cancel()

    def _ask_next(self) -> None:
        link = next(self._links, None)
        if link is not None:
            self._pending = link.begin(self._attempt, partial(self._answered, link))
        else:
            self._pending = asyncio.get_running_loop().call_soon(self._done, self._undecided())

    def _answered(self, link: Link, decision: Decision) -> None:
        if isinstance(decision, Accept) and link.groups_from is not None:
            self._pending = asyncio.get_running_loop().create_task(self._complete(link, link.groups_from, decision))
        else:
            self._take(link, decision)

    async def _complete(self, link: Link, source: GroupSource, accept: Accept) -> None:
        self._take(link, await source.complete(accept))

    def _take(self, link: Link, decision: Decision) -> None:
        self._answers.append((link.name, decision))
        if isinstance(decision, Pass):
            self._ask_next()
        elif isinstance(decision, Unavailable):
            self._unavailable = self._unavailable or (link.name, decision)
            if link.next_on_error:
                _log.warning(
                    "%s: authenticator %s is unavailable: %s", self._attempt.id, link.name, one_line(decision.reason)
                )
                self._ask_next()
            else:
                self._done(self._undecided())
        elif isinstance(decision, Reject) and self._unavailable is not None:
            self._done(self._undecided())
        else:
            self._done(Verdict(decision, link.name, tuple(self._answers)))

    def _undecided(self) -> Verdict:
        """The verdict where no link decided."""
        if self._unavailable is not None:
            name, unavailable = self._unavailable
            return Verdict(unavailable, name, tuple(self._answers))
        identity = self._attempt.identity
        what = "an attempt without identity"
        if identity is not None:
            what = f"an identity of type {identity.type.value} ({identity.type.name})"
            if identity.type is IdentityType.USERNAME:
                what += ", which has no passcode (storescu -usr without -pwd sends it)"
        why = "; ".join(f"{name}: {answer.reason}" for name, answer in self._answers if answer.reason)  # type: ignore[union-attr]
        return Verdict(Pass(f"no authenticator claims {what}{why and f' ({why})'}"), "", tuple(self._answers))
