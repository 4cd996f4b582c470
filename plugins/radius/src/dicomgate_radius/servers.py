"""Several servers in the operator's order, and which of them did not answer a moment ago.

Rule 1: one that did not answer is asked behind the others, not left out: if none did, all are asked.
Rule 2: when that is a while ago, one question goes to it again in its old place; the others see what comes of it.
Rule 3: each has its share of the time that is left, so that the last one can still answer.
Rule 4: the first answer that can be believed is the answer. A rejection is one: no other server is asked for a better.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from pyrad.packet import Packet

from .conversation import NoAnswerError, TooManyError
from .messages import Question
from .server import Server

_log = logging.getLogger(__name__)

_MEMORY = 15.0
"""Seconds for which a server that did not answer is asked behind the others."""


class Servers:
    """All servers of one authenticator, within one event loop. `seconds`: what they have together for one question."""

    def __init__(self, servers: Sequence[Server], seconds: float) -> None:
        self._all = [_Standing(server) for server in servers]
        self._seconds = seconds

    async def begin(self) -> None:
        """Look up all names and open the sockets. What is in the way is logged, and tried again when it is needed."""
        problems = await asyncio.gather(*(one.server.begin(self._seconds) for one in self._all))
        for one, problem in zip(self._all, problems, strict=True):
            if problem:
                _log.warning("RADIUS server %s cannot be asked yet: %s", one.server.name, problem)

    async def ask(self, question: Question) -> tuple[str, Packet]:
        """Who answered, and what. Raises NoAnswerError, in time, with what is wrong with each."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        problems = []
        # sorted is stable: those that are known to be silent come last, the others keep the operator's order.
        order = sorted(self._all, key=lambda one: one.silent_until > loop.time())
        for place, one in enumerate(order):
            one.about_to_be_asked(loop.time())
            try:
                answer = await one.server.ask(question, max(0.0, end - loop.time()) / (len(order) - place))
            except TooManyError:
                problems.append(f"{one.server.name}: too many logins are waiting for it already")
            except NoAnswerError as error:
                one.was_silent(loop.time(), str(error))
                problems.append(f"{one.server.name}: {error}")
            else:
                one.answered()
                return one.server.name, answer
        raise NoAnswerError("; ".join(problems))

    async def close(self) -> None:
        """Close all sockets."""
        for one in self._all:
            await one.server.close()


class _Standing:
    """A server, and what is known of it. One line in the log for each change."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.silent_until = 0.0
        self._silent = False

    def about_to_be_asked(self, now: float) -> None:
        if self._silent and self.silent_until <= now:
            self.silent_until = now + _MEMORY

    def was_silent(self, now: float, why: str) -> None:
        if not self._silent:
            _log.warning("RADIUS server %s: %s", self.server.name, why)
        self._silent, self.silent_until = True, now + _MEMORY

    def answered(self) -> None:
        if self._silent:
            _log.info("RADIUS server %s answers again", self.server.name)
        self._silent, self.silent_until = False, 0.0
