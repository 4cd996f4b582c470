"""Who may be verified now: failed attempts are counted, and the next one waits longer.

Rule 1: an attempt is counted before it is verified, in one step with the look at the counters. So a burst of guesses
        gains nothing, nor does closing the connection before the answer.
Rule 2: guesses from elsewhere do not lock the owner out. Each account has two counters, one for sources that it has
        logged in from before and one for all others. Together they allow no more than 100 attempts in a row
        (NIST SP 800-63B 5.2.2); then an operator must clear them.
Rule 3: a source that fails for many accounts waits, except for accounts that have logged in from it before.

Theory of operation. Each attempt has a subject: an account (the claimed name, see `account_key`) at a source (an IPv4
address or an IPv6 /64). The store knows which subjects have logged in before. By that it picks the counters:

    subject                 counters asked                     keys
    known                   the account's at known sources     known:ACCOUNT
    unknown                 the account's elsewhere, and       account:ACCOUNT
                            the source's for all accounts      source:SOURCE
    no name, known          the source's for tokens            known:@SOURCE
    no name, unknown        the source's for all accounts      source:SOURCE

`take` counts the attempt with each of them, or with none if one says to wait. Then the guard has the credential
verified and settles the charge: `succeeded` makes the subject known and resets the account's counters, `refund` undoes
the attempt when it showed nothing, and a failed attempt stays counted. A counter lets `free` attempts through at once;
each further one waits twice as long as the one before, and after `most` in a row none is let through (`Backoff`).
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from ..contract import Attempt
from ..events.events import ReasonClass
from ..kit.addresses import source_of
from ..kit.text import looks_like_a_token, token_digest
from ..state.protocol import Backoff, Grant, SharedState, StateUnavailable
from .account_key import LONGEST_NAME, account_key, without_domain

_log = logging.getLogger("dicomgate.throttle")
_TOO_LONG = "\0"
"""The account of a name that is too long. No name has this key."""


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """Limits on failed attempts, as in `[throttle]` of the configuration. Waits are in seconds.

    `domains` are the account keys of the domains without which a name is counted.
    """

    free: int = 5
    first_wait: float = 30.0
    longest_wait: float = 3600.0
    most: int = 25
    source_free: int = 50
    domains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose attempts are counted: an account at a source. `account` is "" where no name is claimed."""

    account: str
    source: str

    @property
    def key(self) -> str:
        """The subject as the store knows it."""
        return f"{self.account}@{self.source}"

    @property
    def counters(self) -> tuple[str, str, str]:
        """The keys of its counters: of the account at unknown sources, at known ones, and of the source."""
        # A token claims no name: the source is all that it can be counted by.
        return f"account:{self.account}", f"known:{self.account or self.key}", f"source:{self.source}"


def subject_of(attempt: Attempt, domains: Collection[str] = ()) -> Subject:
    """The subject that an attempt is counted for; `domains` as in `ThrottleSettings`."""
    name = attempt.identity.username if attempt.identity is not None else None
    if name and len(name) > LONGEST_NAME:
        account = _TOO_LONG
    elif name and looks_like_a_token(name):
        account = f"token~{token_digest(name)}"  # counters are listed, logged, and kept for a month
    else:
        account = account_key(without_domain(name, domains)) if name else ""
    return Subject(account, source_of(attempt.peer.address))


class Charge(NamedTuple):
    """An attempt that was counted: in which store, with which counters, and whether its subject is known there.

    `at`: the time of the event loop at which the store was asked.
    """

    state: SharedState
    known: bool
    keys: Sequence[str]
    at: float


class Hold(NamedTuple):
    """Why an attempt must wait, for the operator; LOCKED: until the counter is cleared.

    `under_way`: some that were counted may still be verified, so that it may not have to wait in a moment.
    """

    reason: str
    reason_class: ReasonClass
    under_way: bool = False


_NAME_TOO_LONG = Hold("throttled: the name is too long", ReasonClass.THROTTLED)


class Throttle:
    """The counters of all listeners: in `state`, or in `fallback` (if there is one) while `state` is out of reach."""

    def __init__(self, settings: ThrottleSettings, state: SharedState, fallback: SharedState | None = None) -> None:
        self._settings = settings
        self._state = state
        self._fallback = fallback
        self._out_of_reach = False

    def subject_of(self, attempt: Attempt) -> Subject:
        """The subject that an attempt is counted for."""
        return subject_of(attempt, self._settings.domains)

    async def take(self, subject: Subject) -> tuple[Hold | None, Charge]:
        """Count one attempt, if it may be verified now.

        Returns None and the charge; or why the attempt must wait, and then the only key of the charge is that of the
        counter that holds it. Raises StateUnavailable if no store can count.
        """
        if subject.account == _TOO_LONG:
            return _NAME_TOO_LONG, Charge(self._state, False, subject.counters[:1], 0.0)
        began = asyncio.get_running_loop().time()
        known, unknown = self._backoffs(subject)
        state, grant = await self._ask(subject.key, known, unknown)
        counted = [backoff.key for backoff in (known if grant.known else unknown)]
        keys = [grant.held] if grant.held else counted
        return _hold(grant), Charge(state, grant.known, keys, began)

    async def look(self, subject: Subject) -> Hold | None:
        """Why an attempt would have to wait now, or None; nothing is counted. Raises StateUnavailable."""
        if subject.account == _TOO_LONG:
            return _NAME_TOO_LONG
        return _hold(await self._state.look(subject.key, *self._backoffs(subject)))

    @property
    def ahead(self) -> int:
        """How many charges of one source may stand, see `standing`."""
        return self._settings.source_free // 4

    @property
    def counts_alone(self) -> bool:
        """True if attempts are counted by this gateway alone while the state is out of reach."""
        return self._fallback is not None

    def _backoffs(self, subject: Subject) -> tuple[list[Backoff], list[Backoff]]:
        """The counters of a subject that is known, and of one that is not."""
        settings = self._settings
        waits = settings.first_wait, settings.longest_wait
        elsewhere, at_home, source = subject.counters
        if subject.account:
            known = [Backoff(at_home, settings.free, *waits, settings.most)]
            unknown = [Backoff(elsewhere, settings.free, *waits, settings.most)]
        else:
            known, unknown = [Backoff(at_home, settings.source_free, *waits)], []
        unknown.append(Backoff(source, settings.source_free, *waits))
        return known, unknown

    async def succeeded(self, subject: Subject, charge: Charge) -> None:
        """A secret proved the attempt genuine: the subject is known from now on, and its account's counters are reset.

        A login from a known source does not reset the counter of unknown sources, or each of the owner's logins would
        allow a new series of guesses there.
        """
        elsewhere, at_home, _ = subject.counters
        forget = [at_home] if charge.known else [elsewhere, at_home]
        # The source's counter gets only this attempt back, or one valid account would pay for guesses at all others.
        refund = [key for key in charge.keys if key not in forget]
        await charge.state.succeeded(subject.key, forget, refund, charge.keys)

    async def refund(self, charge: Charge) -> None:
        """The attempt showed nothing: undo its charge."""
        await charge.state.refund(charge.keys)

    async def ended(self, charge: Charge) -> None:
        """The attempt is over and stays counted. Where that cannot be told, others wait for it in vain for a while."""
        with suppress(StateUnavailable):
            await charge.state.ended(charge.keys)

    async def count(self, subject: Subject) -> None:
        """Count an attempt that is over. Raises StateUnavailable if no store can."""
        hold, charge = await self.take(subject)
        if hold is None:
            await self.ended(charge)

    async def _ask(
        self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]
    ) -> tuple[SharedState, Grant]:
        """Count in the shared state, else in the fallback. Raises StateUnavailable where there is none."""
        try:
            grant = await self._state.take(subject, known, unknown)
        except StateUnavailable as error:
            if self._fallback is None:
                raise
            if not self._out_of_reach:
                self._out_of_reach = True
                _log.error("attempts are counted by this gateway alone for now: %s", error)
            return self._fallback, await self._fallback.take(subject, known, unknown)
        if self._out_of_reach:
            self._out_of_reach = False
            _log.info("attempts are counted in the shared state again")
        return self._state, grant


def _hold(grant: Grant) -> Hold | None:
    if not grant.held:
        return None
    locked = grant.wait is None
    until = "is locked until it is cleared" if locked else f"waits {grant.wait:.0f} s more"
    how = f"dicomgate throttle clear {shlex.quote(grant.held)}"
    reason = f"throttled: too many attempts in a row, {grant.held} {until} ({how})"
    return Hold(reason, ReasonClass.LOCKED if locked else ReasonClass.THROTTLED, grant.under_way > 0)
