"""The status of the gateway, as the page shows it: what is sought, cut to what a page can hold, in its order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from ...events.events import Refused
from ...sessions.listed import SessionStatus
from ...state.protocol import Count
from ..status import Status
from ..thread import breathe
from .site import Site

MOST_SESSIONS, MOST_REFUSALS, MOST_COUNTERS = 1000, 200, 100
"""Rows of the page."""
_AT_ONCE = 200  # associations that are looked at before the gateway's loop may go on
WARN = timedelta(days=21)
"""How long before its end a certificate is marked."""


@dataclass(frozen=True, slots=True)
class Sought:
    """Which associations are shown: those with this text in them, or those of this user (`authenticator/name`)."""

    text: str = ""
    user: str = ""

    def shows(self, session: SessionStatus) -> bool:
        """True if it is one of them."""
        if self.user:
            return session.user is not None and f"{session.authenticator}/{session.user}" == self.user
        who = session.user or session.claimed or ""
        known = (session.id, who, session.authenticator, session.address, session.calling_ae_title,
                 session.called_ae_title, session.upstream, session.listener, session.via)  # fmt: skip
        return self.text.casefold() in "\n".join(known).casefold()


@dataclass(frozen=True, slots=True)
class View:
    """One page. `found` are all associations that are sought; `sessions` are as many of them as are shown.

    `shut_out` is until when the sought user is shut out, and why. `shared`: there may be other gateways.
    """

    status: Status
    sought: Sought
    sessions: tuple[SessionStatus, ...]
    found: int
    refusals: tuple[Refused, ...]
    classes: tuple[tuple[str, int], ...]
    counters: tuple[Count, ...]
    counted: int
    counters_problem: str
    shut_out: str
    shared: bool


async def view(site: Site, sought: Sought) -> View:
    """What is going on now."""
    counters, problem = await site.failed_logins(site.operator)
    status = site.operator.status()
    found: list[SessionStatus] = []
    count = 0
    for number, session in enumerate(site.operator.sessions(), 1):
        if sought.shows(session):
            count += 1
            if count <= MOST_SESSIONS:
                found.append(session)
        if not number % _AT_ONCE:
            await breathe()
    refusals = sorted(status.refusals, key=lambda refused: refused.time, reverse=True)[:MOST_REFUSALS]
    classes = Counter(refused.reason_class.value for refused in refusals).most_common()
    shown = tuple(counters[:MOST_COUNTERS])
    return View(
        status,
        sought,
        tuple(found),
        count,
        tuple(refusals),
        tuple(classes),
        shown,
        len(counters),
        problem,
        site.server.users.shut_outs.until(*sought.user.partition("/")[::2]) if sought.user else "",
        site.server.everywhere.shared,
    )
