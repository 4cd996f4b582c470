"""A login at the page: judged by the gateway's own chain and guard, in the gateway's loop.

It is an attempt like any other: the same throttle counts it, the same authenticators verify it. The audit has it as a
deed of an operator, because there is no association. Where the authenticator has `revalidate`, it is asked again about
who is logged in, at the first request after each interval.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from datetime import UTC, datetime
from functools import partial

from ...association.admission import Admit, Refuse, facts_of, settle, unrecorded
from ...auth.chain import Chain, Verdict
from ...auth.plugged import answered
from ...contract import Accept, Attempt, Identity, IdentityType, Peer, Reject, Unavailable
from ...errors import DoesNotFit
from ...events.events import Operated
from ...events.log import quoted
from ...kit.text import one_line
from ...run.generation import Generation
from ...run.page import Page, Right
from ...run.server import Server
from ...wire.reject_abort import REFUSED_IDENTITY, PduError
from ...wire.user_identity import encode_identity, read_identity
from .logins import Admitted, Login
from .site import Site

_log = logging.getLogger("dicomgate.admin")
_LISTENER = "admin"
_HEADER = 4  # bytes of a sub-item
_ID = 6  # bytes
_MOST = 8  # logins at a time: the other connections are for health checks, which must be answered meanwhile
_WRONG = "User or passcode is wrong, or there were too many attempts."
_LATER = "The login could not be verified just now. Try again in a moment."
_NO_RIGHT = "You may not see this page: you are not among its viewers or operators, or you are shut out."


class NotAdmitted(Exception):
    """Nobody is logged in. `status` is HTTP's; the message may be shown to whoever tried."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def passcode_identity(user: str, passcode: str) -> Identity:
    """What was typed, read as strictly as on the wire. Raises NotAdmitted."""
    return _read(IdentityType.USERNAME_AND_PASSCODE, user, passcode)


def token_identity(token: str) -> Identity:
    """A JSON Web Token. Raises NotAdmitted."""
    return _read(IdentityType.JWT, token)


def _read(kind: IdentityType, primary: str, secondary: str = "") -> Identity:
    try:
        return read_identity(encode_identity(Identity(kind, primary.encode(), secondary.encode()))[_HEADER:])
    except (DoesNotFit, PduError, UnicodeError):
        raise NotAdmitted(401, _WRONG) from None


async def judged(
    site: Site, identity: Identity, client: tuple[str, int], arrived_at: tuple[str, int], *, tell: bool = True
) -> Admitted:
    """Who this is, if he may see the page. Raises NotAdmitted.

    The audit has each attempt that fails, and with `tell` each one that does not.
    """
    now = datetime.now(UTC)
    attempt = Attempt(secrets.token_hex(_ID), identity, "", "", Peer(*client), _LISTENER, (), now, arrived_at)
    if site.judging >= _MOST:
        raise NotAdmitted(503, _LATER)
    site.judging += 1
    try:
        verdict = asyncio.run_coroutine_threadsafe(_judged(site.server, attempt, tell), site.server.loop)
        return await asyncio.wrap_future(verdict)
    finally:
        site.judging -= 1


async def _judged(server: Server, attempt: Attempt, tell: bool) -> Admitted:
    generation = server.generation
    page = generation.assembly.page
    if page is None or page.chain is None:
        raise NotAdmitted(404, _LATER)
    verdict = await _verdict(server, generation, page, page.chain, attempt)
    facts, now = facts_of(attempt), datetime.now(UTC)
    _, answer = settle(attempt, facts, verdict, now)
    where = f"the page, from {attempt.peer.address}"
    if isinstance(answer, Refuse):
        claimed = "a token" if facts.claimed is None else quoted(facts.claimed)
        kind = f"{answer.reason_class.value}: "
        problem = kind + answer.reason.removeprefix(kind)
        server.records.operated(Operated(now, "log in", where, f"{claimed} (not verified)", problem=problem))
        looked = answer.refusal == REFUSED_IDENTITY
        raise NotAdmitted(401 if looked else 503, _WRONG if looked else _LATER)
    found = _admitted(answer, now)
    right = page.right_of(found.authenticator, found.user, found.groups)
    problem = "may not see the page" if right is Right.NOTHING else ""
    if until := server.users.shut_outs.until(found.authenticator, found.user):
        problem = f"is shut out until {until}"
    if tell or problem:
        server.records.operated(Operated(now, "log in", where, found.name, problem=problem))
    if problem:
        raise NotAdmitted(403, _NO_RIGHT)
    return found


async def _verdict(server: Server, generation: Generation, page: Page, chain: Chain, attempt: Attempt) -> Verdict:
    if page.audit_required and (trouble := server.records.trouble()):
        return unrecorded(trouble)
    uses = generation.assembly.uses
    uses.acquire()
    try:
        async with asyncio.timeout(page.decision_timeout):
            return await answered(partial(generation.protection.guard.begin, chain, attempt))
    except TimeoutError:
        return Verdict(Unavailable(f"no decision within {page.decision_timeout:g} s"))
    finally:
        uses.release()


def _admitted(answer: Admit, now: datetime) -> Admitted:
    accept = answer.accept
    seconds = None if accept.expires_at is None else (accept.expires_at - now).total_seconds()
    return Admitted(answer.authenticator, accept.user, accept.groups, seconds, accept.handle)


async def may_stay(site: Site, login: Login) -> bool:
    """Whether his authenticator still lets him log in, as it says now or has said within its `revalidate`."""
    link = site.server.generation.assembly.links.get(login.who.authenticator)
    if link is None or link.revalidate is None or time.monotonic() < login.asked + link.revalidate:
        return True
    answer = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_asked(site.server, login), site.server.loop))
    unanswered = isinstance(answer, Unavailable)
    ends = isinstance(answer, Reject) or (unanswered and login.unanswered and link.end_if_unavailable)
    login.asked, login.unanswered = time.monotonic(), unanswered
    if not isinstance(answer, Accept):
        outcome = "is logged out of the page" if ends else "stays logged in to the page"
        _log.warning("%s %s: %s", one_line(login.who.name), outcome, one_line(answer.reason))
    return not ends


async def _asked(server: Server, login: Login) -> Accept | Reject | Unavailable:
    assembly = server.generation.assembly  # in the gateway's loop, where no reload comes between
    link = assembly.links.get(login.who.authenticator)
    if link is None or link.revalidate is None:
        return Accept(login.who.user)
    assembly.uses.acquire()
    try:
        return await link.still_valid(login.who.user, login.who.handle)
    finally:
        assembly.uses.release()
