"""The operator's order: the first answer that is not Pass wins.

Rule 1: an empty passcode is shown to nobody. A directory that is asked with one answers "anonymous, welcome".
Rule 2: a link that could not look stops the chain, unless its table says `on_error = "next"`.
Rule 3: if then nobody accepts, the answer stays `Unavailable`, never `Reject`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType

from ..contract import Accept, Attempt, Decision, IdentityType, Pass, Reject, Unavailable
from .calling import Link

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
        identity = attempt.identity
        kind = None if identity is None else identity.type
        if identity is not None and kind is IdentityType.USERNAME_AND_PASSCODE and not identity.secondary:
            return Verdict(Reject("the passcode is empty"))
        answers: list[tuple[str, Decision]] = []
        could_not_look: tuple[str, Unavailable] | None = None
        for link in self.links:
            if not link.handles(kind):
                continue
            decision = await link.ask(attempt)
            answers.append((link.name, decision))
            if isinstance(decision, Accept):
                return Verdict(decision, link.name, tuple(answers))
            if isinstance(decision, Reject):
                if could_not_look is None:
                    return Verdict(decision, link.name, tuple(answers))
                break
            if isinstance(decision, Unavailable):
                could_not_look = could_not_look or (link.name, decision)
                if not link.next_on_error:
                    break
                _log.warning("%s: authenticator %s could not look: %a", attempt.id, link.name, decision.reason)
        if could_not_look is not None:
            name, unavailable = could_not_look
            return Verdict(unavailable, name, tuple(answers))
        what = "an attempt without identity" if kind is None else f"an identity of type {kind.value} ({kind.name})"
        return Verdict(Pass(f"no authenticator claims {what}"), "", tuple(answers))
