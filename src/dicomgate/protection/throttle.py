"""Who may be verified now: failed attempts are counted, and the next one waits longer.

Law 1: an attempt is counted before it is verified, in one step with the look at the counters. So a burst gains nothing,
       nor does closing before the answer.
Law 2: an account has two levers of its own: one for addresses that it never logged in from, one for those that it did.
       Whoever guesses from elsewhere does not lock its owner out. Together they let no more than 100 attempts in a row
       through (NIST SP 800-63B 5.2.2), until an operator clears them.
Law 3: an address that fails for many accounts waits, except where it has logged in before.
"""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ..contract import Attempt
from ..kit.addresses import source_of
from ..state.protocol import Backoff, Grant, SharedState, StateUnavailable

_log = logging.getLogger("dicomgate.throttle")
_LONGEST_NAME = 256
_LONGEST_KEY = 80
_NOBODY = "\0"
"""The account of a name that is too long: no other name becomes it."""
_ALIKE = str.maketrans({"\u0131": "i", "\u00e6": "ae", "\u0153": "oe", "\u00f0": "d", "\u00fe": "th"})
"""What is one letter to some and another, or two, to others: dotless i, the ligatures ae and oe, eth, thorn."""
_FILLERS = "\u115f\u1160"  # of Hangul: letters that nobody sees


@dataclass(frozen=True, slots=True)
class ThrottleSettings:
    """How much guessing is borne. Waits are in seconds."""

    free: int = 5
    first_wait: float = 30.0
    longest_wait: float = 3600.0
    most: int = 25
    source_free: int = 50


@dataclass(frozen=True, slots=True)
class Subject:
    """Who says who they are, from where, as it is counted. `account` is "" where no name is claimed."""

    account: str
    source: str

    @property
    def pair(self) -> str:
        """The account at this source."""
        return f"{self.account}@{self.source}"

    @property
    def levers(self) -> tuple[str, str, str]:
        """The keys: for strange sources, for familiar ones, and for the source itself."""
        # Who brings a token claims no name: then a familiar source is all that there is to count by.
        return f"account:{self.account}", f"known:{self.account or self.pair}", f"source:{self.source}"


def claim(attempt: Attempt) -> Subject:
    """What is counted for an attempt."""
    name = attempt.identity.username if attempt.identity is not None else None
    # To normalise what is longer would take long.
    account = "" if not name else _account(name) if len(name) <= _LONGEST_NAME else _NOBODY
    return Subject(account, source_of(attempt.peer.address))


@lru_cache(maxsize=4096)
def _account(name: str) -> str:
    """The claimed name as a directory may take it: without case, spaces, accents and look-alikes.

    Too much alike is better than too little: two names that are counted as one wait for each other, one that is counted
    as two may be guessed at twice as often.
    """
    plain = "".join(map(_base, unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)))
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", plain) if _counts(letter)) or "?"
    return plain if len(plain) <= _LONGEST_KEY else f"{plain[:60]}~{hashlib.sha256(plain.encode()).hexdigest()[:16]}"


def _base(letter: str) -> str:
    """The letter without what no normal form takes away: "LATIN SMALL LETTER O WITH STROKE"; and one kind of kana."""
    base = unicodedata.name(letter, "").partition(" WITH ")[0].replace("KATAKANA LETTER", "HIRAGANA LETTER")
    try:
        return unicodedata.lookup(base)
    except KeyError:
        return letter


def _counts(letter: str) -> bool:
    """False for what a directory may ignore: spaces, marks, symbols, and letters that are newer than itself.

    RFC 4518 2.2 and 2.3 map some to nothing, and know Unicode 3.2. Active Directory passes over what it has no sorting
    weight for.
    """
    if letter.isascii():
        return letter.isprintable() and letter != " "
    return unicodedata.ucd_3_2_0.category(letter)[0] in "LN" and letter not in _FILLERS


class Charge(NamedTuple):
    """Where an attempt is counted, and whether its account has logged in from its source before."""

    state: SharedState
    known: bool
    keys: Sequence[str]


class Throttle:
    """The counters of all listeners, in `state`; while that is out of reach in `beside`, where there is one."""

    def __init__(self, figures: ThrottleSettings, state: SharedState, beside: SharedState | None = None) -> None:
        self._figures = figures
        self._state = state
        self._beside = beside
        self._out_of_reach = False

    async def take(self, claimed: Subject) -> tuple[str, Charge]:
        """Count one attempt: "", and where it is counted; or why it may not be verified, for the operator.

        Raises StateUnavailable where nobody can count.
        """
        if claimed.account == _NOBODY:
            return "throttled: nobody's name is that long", Charge(self._state, False, claimed.levers[:1])
        figures = self._figures
        waits = figures.first_wait, figures.longest_wait
        strange, familiar, source = claimed.levers
        if claimed.account:
            known = [Backoff(familiar, figures.free, *waits, figures.most)]
            unknown = [Backoff(strange, figures.free, *waits, figures.most)]
        else:
            known, unknown = [Backoff(familiar, figures.source_free, *waits)], []
        unknown.append(Backoff(source, figures.source_free, *waits))
        state, taken = await self._taken(claimed.pair, known, unknown)
        keys = [lever.key for lever in (known if taken.known else unknown)]
        return _why_not(taken), Charge(state, taken.known, keys)

    async def succeeded(self, claimed: Subject, counted: Charge) -> None:
        """The attempt was genuine, and a secret proved it: its address is familiar from now on.

        What was counted against the account is forgotten, but not by one at home what strangers have tried: or each
        of the owner's logins would give them a new row.
        """
        strange, familiar, _ = claimed.levers
        forget = [familiar] if counted.known else [strange, familiar]
        # Of the source only this attempt is taken back: or one good account would pay for guesses at all the others.
        await counted.state.succeeded(claimed.pair, forget, [key for key in counted.keys if key not in forget])

    async def take_back(self, counted: Charge) -> None:
        """It counts for nothing."""
        await counted.state.refund(counted.keys)

    async def _taken(
        self, pair: str, known: Sequence[Backoff], unknown: Sequence[Backoff]
    ) -> tuple[SharedState, Grant]:
        """Who has counted, and what came of it."""
        try:
            taken = await self._state.take(pair, known, unknown)
        except StateUnavailable as error:
            if self._beside is None:
                raise
            if not self._out_of_reach:
                self._out_of_reach = True
                _log.error("attempts are counted by this gateway alone for now: %s", error)
            return self._beside, await self._beside.take(pair, known, unknown)
        if self._out_of_reach:
            self._out_of_reach = False
            _log.info("attempts are counted together again")
        return self._state, taken


def _why_not(taken: Grant) -> str:
    if not taken.held:
        return ""
    if taken.wait is None:
        return f"throttled: too many attempts in a row, {taken.held} is held until it is cleared"
    return f"throttled: too many attempts in a row, {taken.held} waits {taken.wait:.0f} s more"
