"""Users who leave: while they are connected, they are asked about again.

Rule 1: one question for each principal and handle, however many associations there are; spread over the interval, and
        few at a time, so that logins find the directory free.
Rule 2: a Reject ends only associations that were there before its question began. Who came later was let in by a later
        answer.
Rule 3: where there is no answer, users stay, unless the operator wants otherwise; then two questions in a row must have
        had none. It is told once, until there is an answer about everybody again.
Rule 4: the present authenticator of a name is asked, also about those who came in before a reload. Whoever is not known
        there any more could not log in again either.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TypeAlias

from ..auth.link import Link
from ..contract import Reject, Unavailable
from ..events.events import Cause
from ..kit.text import one_line
from .register import Register, Session

_log = logging.getLogger("dicomgate.auth")
_AT_A_TIME = 4
_IN_ONE_TURN = 500  # sessions that are looked at before others get their turn: 0.4 ms

_Asked: TypeAlias = tuple[str, object]
"""A user of the authenticator, and the handle of the login."""


class Revalidation:
    """Asks the authenticators that have `revalidate` about the associations of a register. For one event loop."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._rounds: dict[str, _Rounds] = {}

    def adopt(self, links: Iterable[Link]) -> None:
        """Ask these authenticators from now on, and no others."""
        asked = {link.name: link for link in links if link.revalidate is not None}
        for name, rounds in [*self._rounds.items()]:
            if name not in asked or asked[name].revalidate != rounds.link.revalidate:
                self._rounds.pop(name).close()
        for name, link in asked.items():
            if name in self._rounds:
                self._rounds[name].ask_instead(link)
            else:
                self._rounds[name] = _Rounds(self._register, link)

    def close(self) -> None:
        """Ask no more."""
        self.adopt(())


class _Rounds:
    """One question after the other to one authenticator, in rounds of its interval."""

    def __init__(self, register: Register, link: Link) -> None:
        self.link = link
        self._register = register
        self._interval = link.revalidate or 0.0
        self._before: set[_Asked] = set()  # those about whom there was no answer in the last round,
        self._unanswered: set[_Asked] = set()  # and in this one
        self._told = False
        self._late = False
        self._asking: set[asyncio.Task[None]] = set()
        self._task = asyncio.get_running_loop().create_task(self._go_on())

    def ask_instead(self, link: Link) -> None:
        """Ask this one from the next question on."""
        self.link = link
        self._give_up()

    def close(self) -> None:
        self._task.cancel()
        self._give_up()

    def _give_up(self) -> None:
        # At once, before the authenticator is left: one that is still asked would open new connections.
        for asking in self._asking:
            asking.cancel()

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._one_round(began)
            except Exception:  # noqa: BLE001 (the next round may be better)
                _log.exception("a defect of the gateway: not all users were asked about")
            await asyncio.sleep(max(0.0, began + self._interval - loop.time()))

    async def _one_round(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        asked = await self._under_way()
        self._before, self._unanswered = self._unanswered, set()
        places = asyncio.Semaphore(_AT_A_TIME)
        async with asyncio.TaskGroup() as group:
            for place, (principal, ids) in enumerate(asked.items()):
                await asyncio.sleep(max(0.0, began + self._interval * place / len(asked) - loop.time()))
                await places.acquire()
                asking = group.create_task(self._ask(principal, ids))
                self._asking.add(asking)
                asking.add_done_callback(self._asking.discard)
                asking.add_done_callback(lambda _: places.release())
        if asked and self._told and not self._unanswered:
            self._told = False
            _log.info("authenticator %s says again whether its users may still log in", self.link.name)
        took, late = loop.time() - began, self._late
        self._late = took > 1.1 * self._interval
        if self._late and not late:
            told = "authenticator %s: to ask about %d users took %.1f s, which is longer than revalidate (%g s)"
            _log.warning(told, self.link.name, len(asked), took, self._interval)

    async def _under_way(self) -> dict[_Asked, list[str]]:
        """The ids of the associations that this authenticator has accepted, by user and handle."""
        asked: dict[_Asked, list[str]] = {}
        for number, session in enumerate(self._register, 1):
            facts = session.facts
            if facts.user is not None and facts.authenticator == self.link.name and not session.over:
                asked.setdefault((facts.user, session.handle), []).append(session.id)
            if not number % _IN_ONE_TURN:
                await asyncio.sleep(0)
        return asked

    async def _ask(self, principal: _Asked, ids: list[str]) -> None:
        if not self._of(ids):
            return
        answer = await self.link.still_valid(*principal)
        if isinstance(answer, Reject):
            self._end(ids, Cause.DISABLED, answer.reason)
        elif isinstance(answer, Unavailable):
            self._unanswered.add(principal)
            self._tell(answer.reason)
            if self.link.end_if_unavailable and principal in self._before:
                established = [one.id for one in self._of(ids) if one.traffic is not None]
                self._end(established, Cause.UNVERIFIABLE, answer.reason)  # the others were verified a moment ago

    def _end(self, ids: list[str], cause: Cause, reason: str) -> None:
        for session in self._of(ids):
            try:
                session.end(cause, f"{self.link.name}: {reason}")
            except Exception:  # noqa: BLE001 (the others must be asked about all the same)
                _log.exception("%s: a defect of the gateway: it was not ended", session.id)

    def _of(self, ids: list[str]) -> list[Session]:
        """Those of these associations that are still under way."""
        return [session for session in map(self._register.get, ids) if session is not None]

    def _tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            outcome = "are ended if that goes on" if self.link.end_if_unavailable else "stay connected"
            told = "authenticator %s cannot say whether its users may still log in; they %s: %s"
            _log.error(told, self.link.name, outcome, one_line(reason))
