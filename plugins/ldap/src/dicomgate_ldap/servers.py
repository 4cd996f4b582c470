"""Several servers in the operator's order, and which of them was down a moment ago.

Rule 1: a server that was down is asked after the others, not left out: if all are down, all are asked.
Rule 2: after a while one question goes to it again, the others wait for what comes of that.
Rule 3: each server has its share of the deadline, so that the last one still has time to answer.
"""

from __future__ import annotations

import asyncio
import logging

from .messages import Answer, Failed, Question
from .settings import Settings
from .workers import Workers

_log = logging.getLogger(__name__)

_MEMORY = 15.0
"""Seconds for which a server that was down is asked after the others."""


class Servers:
    """All servers of one authenticator, within one event loop."""

    def __init__(self, settings: list[Settings], deadline: float, connections: int) -> None:
        self._servers = [_Server(one, connections) for one in settings]
        self._deadline = deadline

    async def ask(self, question: Question) -> Answer:
        """The first answer that is not `Failed`, else what is wrong with all of them; in time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._deadline
        problems = []
        # sorted is stable: the operator's order, but those that were down a moment ago come last.
        servers = sorted(self._servers, key=lambda server: server.down_until > loop.time())
        for place, server in enumerate(servers):
            server.about_to_ask(loop.time())
            share = max(0.0, end - loop.time()) / (len(servers) - place)
            answer = await server.workers.ask(question, share)
            server.noticed(answer, loop.time())
            if not isinstance(answer, Failed):
                return answer
            problems.append(f"{server.url}: {answer.reason}")
        return Failed("; ".join(problems))

    async def close(self) -> None:
        """End everything that is under way."""
        for server in self._servers:
            await server.workers.close()


class _Server:
    def __init__(self, settings: Settings, connections: int) -> None:
        self.url = settings.server
        self.workers = Workers(settings, connections)
        self.down_until = 0.0
        self._is_down = False

    def about_to_ask(self, now: float) -> None:
        if self._is_down and self.down_until <= now:
            self.down_until = now + _MEMORY

    def noticed(self, answer: Answer, now: float) -> None:
        """Remember whether the server could be asked; one log line for each change."""
        if not isinstance(answer, Failed):
            if self._is_down:
                _log.info("%s: can be asked again", self.url)
            self._is_down, self.down_until = False, 0.0
        elif answer.asked:
            if not self._is_down:
                _log.warning("%s: cannot be asked: %s", self.url, answer.reason)
            self._is_down, self.down_until = True, now + _MEMORY
