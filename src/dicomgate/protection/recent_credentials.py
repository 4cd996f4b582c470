"""The last credential of each subject: tells a client that repeats itself from one that guesses.

Of each subject (an account at a source) the last credential is remembered, and no other. If it was accepted, it is not
counted as a guess the next time. If it was refused a moment ago, it is not verified again. If many attempts bring the
same one at once, one is verified and the others wait for its outcome.

Rule 1: a new credential replaces the last one as soon as its verification begins. Otherwise guesses could be compared
        with what is remembered without being counted, and only the right one would get through.
Rule 2: no credential leaves the process, and none can be recovered from it: what is kept is a digest under a key that
        is made anew at every start.
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
"""Seconds for which an accepted credential is known not to be a guess."""


class Outcome(Enum):
    """What is known of a credential."""

    UNKNOWN = "not the last one, or not verified"
    ACCEPTED = "accepted"
    REFUSED = "refused a moment ago"


class Recent:
    """The last credential of a subject, the outcome of its verification, and until when that counts."""

    __slots__ = ("digest", "outcome", "until", "verified")

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self.outcome = Outcome.UNKNOWN
        self.until = 0.0
        self.verified: asyncio.Event | None = asyncio.Event()  # None once it is set: 20,000 events would take much room


class RecentCredentials:
    """The last credential of each subject, 20,000 at most: the oldest is dropped first."""

    def __init__(self, repeat: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`repeat`: for so many seconds a refused credential is not verified again."""
        self._repeat = repeat
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._last: OrderedDict[str, Recent] = OrderedDict()

    def digest(self, attempt: Attempt) -> bytes:
        """A digest of the credential and all else that a decision depends on, except the name: that is the subject."""
        identity, shown = attempt.identity, attempt.peer.certificate or b""
        titles = f"{attempt.called_ae_title}\0{attempt.calling_ae_title}"
        asked = f"{attempt.peer.address}\0{attempt.listener}\0{titles}\0{len(shown)}\0"
        hashed = blake2b(asked.encode() + shown, key=self._key, digest_size=16)
        if identity is not None:
            secret = identity.primary if identity.username is None else identity.secondary
            hashed.update(b"%d\0" % identity.type + secret)
        return hashed.digest()

    def last(self, subject: str, digest: bytes) -> Recent | None:
        """The last credential of this subject, if it is this one."""
        recent = self._last.get(subject)
        return recent if recent is not None and recent.digest == digest else None

    def outcome(self, subject: str, digest: bytes) -> Outcome:
        """What is known of this credential now."""
        recent = self.last(subject, digest)
        return Outcome.UNKNOWN if recent is None or recent.until <= self._clock() else recent.outcome

    def forget(self) -> None:
        """Forget everything: what was wrong may be right now."""
        self._last.clear()

    def begin(self, subject: str, digest: bytes) -> Recent:
        """The verification of this credential begins; it replaces the last one. The caller must call `end`."""
        recent = self._last[subject] = Recent(digest)
        self._last.move_to_end(subject)
        if len(self._last) > _MOST:
            self._last.popitem(last=False)
        return recent

    def end(self, recent: Recent, outcome: Outcome) -> None:
        """The verification has ended; UNKNOWN if it gave no answer."""
        recent.outcome = outcome
        recent.until = self._clock() + (_REMEMBERED if outcome is Outcome.ACCEPTED else self._repeat)
        if recent.verified is not None:
            recent.verified.set()
            recent.verified = None
