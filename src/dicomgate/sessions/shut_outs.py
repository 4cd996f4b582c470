"""Users whom an operator shuts out for a time. Their logins are judged as ever, and then refused.

A user whose passcode was stolen is ended and shut out until his account is closed where it is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..errors import DicomgateError

_MOST = 10_000


class ShutOut(NamedTuple):
    """A user of this authenticator ("": of any) is shut out until then. `why`: who did it, and his reason."""

    authenticator: str
    user: str
    until: datetime
    why: str


class _Entry(NamedTuple):
    """`shut_out` is None for a user of one authenticator who is let in, though all of his name are shut out."""

    ends: float  # by the clock
    shut_out: ShutOut | None


class ShutOuts:
    """The users who are shut out of one gateway now. `clock` tells seconds that no setting of the date changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._users: dict[tuple[str, str], _Entry] = {}  # by authenticator, or "" for any, and user

    def add(self, user: str, seconds: float, why: str, authenticator: str = "") -> None:
        """Shut a user of this authenticator out for so long, "": of any; for 0 seconds: let him in, whichever it was.

        `why` is for the records: who did it, and his reason. Raises DicomgateError if too many are shut out already.
        """
        now, key = self._clock(), (authenticator, user)
        lets_in = seconds <= 0
        for one, out in [*self._users.items()]:
            of_any = not authenticator and one[1] == user
            if out.ends <= now or (of_any and (lets_in or out.shut_out is None)):
                del self._users[one]
        if lets_in:
            self._users.pop(key, None)
            if general := self._users.get(("", user)):
                self._users[key] = _Entry(general.ends, None)
            return
        if len(self._users) >= _MOST and key not in self._users:
            raise DicomgateError(f"user {user!r} is not shut out: {_MOST} users are already, which is the most")
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        self._users[key] = _Entry(now + seconds, ShutOut(authenticator, user, until, why))

    def until(self, authenticator: str, user: str) -> str:
        """Until when this user is shut out, and why; "" if he is not."""
        if not self._users:
            return ""
        for key in ((authenticator, user), ("", user)):
            entry = self._users.get(key)
            if entry is not None and entry.ends > self._clock():
                out = entry.shut_out
                return "" if out is None else f"{out.until.isoformat(timespec='seconds')}: {out.why}"
        return ""

    def all(self) -> list[ShutOut]:
        """Who is shut out now, the earliest order first; in any thread."""
        now = self._clock()
        return [out for ends, out in self._users.copy().values() if ends > now and out is not None]
