"""The credential tried last: tells a client that repeats itself from one that guesses.

Of each pair of an account and a source the last credential is remembered, and no other. If it succeeded it is no guess
the next time; if it has just failed it need not be verified again; and of those that come at the same time one is
verified first.

Law 1: whoever tries another credential has made the one before forgotten. Or guesses could be held against what is
       remembered here, without being counted: only the right one would get through.
Law 2: nothing of a credential leaves the process, and nothing in it can be turned back into one: a digest under a key
       that is made anew at every start.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from hashlib import blake2b

from ..contract import Attempt

_MOST = 20_000
_REMEMBERED = 600.0
"""Seconds that the credential of a login is known to be no guess."""


class Outcome(Enum):
    """What is known of a credential."""

    UNKNOWN = "not the last one"
    ACCEPTED = "accepted"
    REFUSED = "refused a moment ago"


class Recent:
    """The last credential of a pair: what came of it, and until when that counts."""

    __slots__ = ("digest", "over", "past", "until")

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self.past = Outcome.UNKNOWN
        self.until = 0.0
        self.over: asyncio.Event | None = asyncio.Event()  # its verification; None when it is: an event is not small


class RecentCredentials:
    """The last credentials. `repeat`: so many seconds the same false one is not verified again."""

    def __init__(self, repeat: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._repeat = repeat
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._last: OrderedDict[str, Recent] = OrderedDict()

    def digest(self, attempt: Attempt) -> bytes:
        """What stands for a credential and all else that a decision depends on; a name is the account's business."""
        identity, shown = attempt.identity, attempt.peer.certificate or b""
        titles = f"{attempt.called_ae_title}\0{attempt.calling_ae_title}"
        asked = f"{attempt.peer.address}\0{attempt.listener}\0{titles}\0{len(shown)}\0"
        hashed = blake2b(asked.encode() + shown, key=self._key, digest_size=16)
        if identity is not None:
            secret = identity.primary if identity.username is None else identity.secondary
            hashed.update(b"%d\0" % identity.type + secret)
        return hashed.digest()

    def last(self, pair: str, digest: bytes) -> Recent | None:
        """The last guess of this pair, if it was this very credential."""
        guess = self._last.get(pair)
        return guess if guess is not None and guess.digest == digest else None

    def past(self, pair: str, digest: bytes) -> Outcome:
        """What is known of this credential now."""
        guess = self.last(pair, digest)
        return Outcome.UNKNOWN if guess is None or guess.until <= self._clock() else guess.past

    def forget(self) -> None:
        """All of it: what was wrong may be right now."""
        self._last.clear()

    def begin(self, pair: str, digest: bytes) -> Recent:
        """Its verification begins, and what was the last one is forgotten. `end` must follow."""
        guess = self._last[pair] = Recent(digest)
        self._last.move_to_end(pair)
        if len(self._last) > _MOST:
            self._last.popitem(last=False)
        return guess

    def end(self, guess: Recent, past: Outcome) -> None:
        """Its verification has ended: GENUINE, FALSE, or NEW if nobody could look."""
        guess.past = past
        guess.until = self._clock() + (_REMEMBERED if past is Outcome.ACCEPTED else self._repeat)
        if guess.over is not None:
            guess.over.set()
            guess.over = None
