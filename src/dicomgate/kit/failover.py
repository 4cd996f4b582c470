"""Several servers in the operator's order; one that failed is asked last for a while.

Rule 1: a server that failed is asked after the others, not left out: if all have failed, all are asked.
Rule 2: after a while one question goes to it again in its old place; the others do not wait for the outcome.
Rule 3: each server has its share of the time that is left, so that the last one can still answer.
Rule 4: the first answer counts. A refusal is an answer: no other server is asked for a better one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

MEMORY = 15.0
"""Seconds for which a server that failed is asked after the others."""

_Server = TypeVar("_Server")
_Answer = TypeVar("_Answer")


class NoAnswerError(Exception):
    """A server could not be asked, or gave no usable answer. The message says why, for the operator."""


class BusyError(NoAnswerError):
    """A server was not asked, because too many questions to it are under way. It is not at fault."""


class Failover(Generic[_Server]):
    """Servers by name, for one event loop. All together have `seconds` for a question.

    `log` gets one line when a server fails and one when it works again; `kind` says there what it is, for example
    "RADIUS server".
    """

    def __init__(self, servers: Mapping[str, _Server], *, seconds: float, kind: str, log: logging.Logger) -> None:
        self._seconds = seconds
        self._kind = kind
        self._log = log
        self._all = [_Standing(name, server) for name, server in servers.items()]

    async def ask(self, question: Callable[[_Server, float], Awaitable[_Answer]]) -> tuple[str, _Answer]:
        """The name of the server that answered, and its answer.

        `question` gets a server and the seconds that it may take, and raises NoAnswerError if there is no answer by
        then. Raises NoAnswerError, which names each server and what was wrong with it.
        """
        end = time.monotonic() + self._seconds
        problems = []
        # sorted is stable: those that failed come last, the others keep the operator's order.
        order = sorted(self._all, key=lambda one: one.last_until > time.monotonic())
        for place, one in enumerate(order):
            one.about_to_be_asked()
            try:
                answer = await question(one.server, max(0.0, end - time.monotonic()) / (len(order) - place))
            except NoAnswerError as error:
                problems.append(f"{one.name}: {error}")
                if not isinstance(error, BusyError) and one.failed():
                    self._log.warning("%s %s failed: %s", self._kind, one.name, error)
            else:
                if one.answered():
                    self._log.info("%s %s works again", self._kind, one.name)
                return one.name, answer
        raise NoAnswerError("; ".join(problems))


class _Standing(Generic[_Server]):
    """A server, and whether it failed the last time."""

    def __init__(self, name: str, server: _Server) -> None:
        self.name = name
        self.server = server
        self.last_until = 0.0
        self._failing = False

    def about_to_be_asked(self) -> None:
        if self._failing and self.last_until <= time.monotonic():
            self.last_until = time.monotonic() + MEMORY

    def failed(self) -> bool:
        """True if this is news."""
        before, self._failing = self._failing, True
        self.last_until = time.monotonic() + MEMORY
        return not before

    def answered(self) -> bool:
        """True if this is news."""
        before, self._failing = self._failing, False
        self.last_until = 0.0
        return before
