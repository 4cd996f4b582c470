"""The last credential of each subject: tells a client that repeats itself from one that guesses.

Of each subject (an account at a source) the last credential is remembered, and no other. If it was accepted, it is not
counted as a guess the next time. If it was refused a moment ago, and the refusal still stands, it is not verified
again. If many attempts bring the same one at once, one is verified and the others wait for its outcome.

Rule 1: a credential is compared with the last one in the step in which it replaces it (`compare`). So each credential
        that is remembered is compared with one other, however many arrive in the same turn of the event loop.
Rule 2: a refusal that rests on what may change is not remembered beyond that change. Its authenticator says whether it
        stands (`Reject.stands`). Where that cannot be told, the first repeat is verified again.
Rule 3: no credential leaves the process, and none can be recovered from it: what is kept is a digest under a key that
        is made anew at every start.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from hashlib import blake2b

from ..contract import Attempt
from ..errors import place

_log = logging.getLogger("dicomgate.auth")
_MOST = 20_000
_REMEMBERED = 600.0
"""Seconds for which an accepted credential is known not to be a guess."""


class Outcome(Enum):
    """What is known of a credential."""

    UNKNOWN = "not the last one, or not verified"
    UNDER_WAY = "being verified"
    ACCEPTED = "accepted"
    REFUSED = "refused a moment ago"


class Recent:
    """The last credential of a subject, the outcome of its verification, and until when that counts.

    `stands`: whether what a refusal rests on is unchanged; None if that cannot be told. `repeated`: it was refused the
    time before as well.
    """

    __slots__ = ("_ended", "digest", "outcome", "repeated", "stands", "until")

    def __init__(self, digest: bytes, *, repeated: bool) -> None:
        self.digest = digest
        self.outcome = Outcome.UNDER_WAY
        self.repeated = repeated
        self.stands: Callable[[], bool] | None = None
        self.until = 0.0
        self._ended: asyncio.Event | None = None  # made for those who wait: 20,000 events would take much room

    async def ended(self) -> None:
        """Wait for the end of its verification."""
        if self.outcome is Outcome.UNDER_WAY:
            self._ended = self._ended or asyncio.Event()
            await self._ended.wait()

    def end(self, outcome: Outcome) -> None:
        """The verification has ended, so; those who wait go on."""
        self.outcome = outcome
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def give_up(self, _: object) -> None:
        """There will be no outcome, if there is none yet."""
        if self.outcome is Outcome.UNDER_WAY:
            self.end(Outcome.UNKNOWN)

    def is_unchanged(self, *, waited: bool) -> bool:
        """True if the refusal counts for one more attempt. `waited`: that one has waited for it."""
        if self.stands is None:
            return waited or self.repeated
        try:
            return bool(self.stands())
        except Exception as error:  # noqa: BLE001 (an authenticator's own code)
            _log.error("an authenticator has a defect: it cannot say whether its refusal stands: %s", place(error))
            return False


class RecentCredentials:
    """The last credential of each subject, 20,000 at most: the oldest is dropped first."""

    def __init__(self, repeat: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`repeat`: for so many seconds a refused credential is not verified again."""
        self._repeat = repeat
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._last: OrderedDict[str, Recent] = OrderedDict()

    def digest(self, attempt: Attempt) -> bytes:
        """A digest of the credential, the name as it is spelled, and all else that a decision depends on."""
        identity, shown = attempt.identity, attempt.peer.certificate or b""
        titles = f"{attempt.called_ae_title}\0{attempt.calling_ae_title}"
        asked = f"{attempt.peer.address}\0{attempt.listener}\0{titles}\0{len(shown)}\0"
        hashed = blake2b(asked.encode() + shown, key=self._key, digest_size=16)
        if identity is not None:
            # The name too: a right passcode is refused with another spelling of it, and right with this one.
            hashed.update(b"%d\0%d\0" % (identity.type, len(identity.primary)) + identity.primary + identity.secondary)
        return hashed.digest()

    def compare(self, subject: str, digest: bytes) -> tuple[Outcome, Recent]:
        """What is known of this credential. If it is UNKNOWN, it has replaced the last one, and the caller verifies it.

        Then the caller must call `end`, whatever happens.
        """
        last = self._last.get(subject)
        same = last is not None and last.digest == digest
        if last is not None and same:
            if last.outcome is Outcome.UNDER_WAY:
                return Outcome.UNDER_WAY, last
            if last.outcome is Outcome.ACCEPTED and last.until > self._clock():
                return Outcome.ACCEPTED, last
            if self.is_refused(last):
                return Outcome.REFUSED, last
        new = Recent(digest, repeated=last is not None and same and last.outcome is Outcome.REFUSED)
        self._last[subject] = new
        self._last.move_to_end(subject)
        if len(self._last) > _MOST:
            self._last.popitem(last=False)
        return Outcome.UNKNOWN, new

    def is_refused(self, recent: Recent, *, waited: bool = False) -> bool:
        """True if this credential was refused, and need not be verified again for one that brings the same.

        `waited`: that one has waited for the end of its verification.
        """
        return recent.outcome is Outcome.REFUSED and recent.until > self._clock() and recent.is_unchanged(waited=waited)

    def forget(self) -> None:
        """Forget everything: what was wrong may be right now."""
        self._last.clear()

    def end(self, recent: Recent, outcome: Outcome, stands: Callable[[], bool] | None = None) -> None:
        """The verification has ended; UNKNOWN if it gave no answer. `stands` is for a refusal: see `Recent`."""
        recent.stands = stands
        recent.until = self._clock() + (_REMEMBERED if outcome is Outcome.ACCEPTED else self._repeat)
        recent.end(outcome)
