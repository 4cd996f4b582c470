"""The operator's order: the first answer that is not Pass wins.

Rule 1: an empty passcode is shown to nobody. A directory that is asked with one answers "anonymous, welcome".
Rule 2: a link that could not look stops the chain, unless its table says `on_error = "next"`.
Rule 3: if then nobody accepts, the answer stays `Unavailable`, never `Reject`.
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
from .groups import GroupSource
from .link import Asking, Link, resolve

_log = logging.getLogger("dicomgate.auth")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The chain's decision; the link that made it, "" if none did; and what each link that was asked answered."""

    decision: Decision
    authenticator: str = ""
    answers: tuple[tuple[str, Decision], ...] = ()


class Chain:
    """Authenticators in the operator's order. It has the shape of an `Authenticator` itself."""

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = tuple(links)
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
        """Ask link after link; the answers are in the order of the asking."""
        reached: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        question = Question(self.links, attempt, resolve(reached))
        try:
            return await reached
        finally:
            question.cancel()


class Question:
    """One attempt's way along the links. `done` is called once, and never before this exists, with the verdict.

    No task waits for it: most of the time of an association that logs in would be spent on one.
    """

    __slots__ = ("_answers", "_asking", "_attempt", "_could_not_look", "_done", "_links")

    def __init__(self, links: Sequence[Link], attempt: Attempt, done: Callable[[Verdict], None]) -> None:
        self._attempt = attempt
        self._done = done
        self._answers: list[tuple[str, Decision]] = []
        self._could_not_look: tuple[str, Unavailable] | None = None
        self._asking: Asking | asyncio.Handle | asyncio.Task[None]
        identity = attempt.identity
        kind = None if identity is None else identity.type
        self._links = iter([link for link in links if link.handles(kind)])
        if identity is not None and kind is IdentityType.USERNAME_AND_PASSCODE and not identity.secondary:
            self._asking = asyncio.get_running_loop().call_soon(done, Verdict(Reject("the passcode is empty")))
        else:
            self._ask_next()

    def cancel(self) -> None:
        """Ask no more: `done` is not called. Once it was, nothing happens."""
        self._asking.cancel()

    def _ask_next(self) -> None:
        link = next(self._links, None)
        if link is not None:
            self._asking = Asking(link, self._attempt, partial(self._answered, link))
        else:
            self._asking = asyncio.get_running_loop().call_soon(self._done, self._nobody())

    def _answered(self, link: Link, decision: Decision) -> None:
        if isinstance(decision, Accept) and link.groups_from is not None:
            self._asking = asyncio.get_running_loop().create_task(self._complete(link, link.groups_from, decision))
        else:
            self._judged(link, decision)

    async def _complete(self, link: Link, source: GroupSource, accept: Accept) -> None:
        self._judged(link, await source.complete(accept))

    def _judged(self, link: Link, decision: Decision) -> None:
        self._answers.append((link.name, decision))
        if isinstance(decision, Pass):
            self._ask_next()
        elif isinstance(decision, Unavailable):
            self._could_not_look = self._could_not_look or (link.name, decision)
            if link.next_on_error:
                _log.warning("%s: authenticator %s could not look: %a", self._attempt.id, link.name, decision.reason)
                self._ask_next()
            else:
                self._done(self._nobody())
        elif isinstance(decision, Reject) and self._could_not_look is not None:
            self._done(self._nobody())
        else:
            self._done(Verdict(decision, link.name, tuple(self._answers)))

    def _nobody(self) -> Verdict:
        """The verdict where no answer counts."""
        if self._could_not_look is not None:
            name, unavailable = self._could_not_look
            return Verdict(unavailable, name, tuple(self._answers))
        identity = self._attempt.identity
        what = "an attempt without identity"
        if identity is not None:
            what = f"an identity of type {identity.type.value} ({identity.type.name})"
        why = "; ".join(f"{name}: {answer.reason}" for name, answer in self._answers if answer.reason)  # type: ignore[union-attr]
        return Verdict(Pass(f"no authenticator claims {what}{why and f' ({why})'}"), "", tuple(self._answers))
