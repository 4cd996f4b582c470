"""Who is logged in to the page: in memory, for fifteen minutes without use, at most eight hours.

A page that refreshes itself must not have a passcode verified each time, and a browser must be able to forget: so a
login gets a random cookie, of which the hash is kept here. A login ends with the right to see the page.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass, field
from hashlib import sha256

from ...run.page import Page, Right

IDLE, LONGEST = 15 * 60.0, 8 * 3600.0
"""Seconds that a login lasts: without use, and in all."""
MOST = 64
"""Logins at a time. One more ends the one that was used least recently."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who is logged in, and for how many seconds his credential lasts; None if it does not say.

    `handle` is what his authenticator wants to be asked about him again with.
    """

    authenticator: str
    user: str
    groups: frozenset[str]
    seconds: float | None
    handle: object = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """As the audit has it."""
        return f"{self.authenticator}/{self.user}"


@dataclass(slots=True)
class Login:
    """One login. `token` must come with each form that changes something; `said` is what the next page tells.

    `ends`, `used` and `asked`, when his authenticator was last asked about him, are of the monotonic clock.
    `unanswered`: it could not say then.
    """

    who: Admitted
    ends: float
    used: float
    asked: float
    unanswered: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    said: tuple[str, ...] = ()
    failed: bool = False

    def right(self, page: Page) -> Right:
        """What it allows now."""
        return page.right_of(self.who.authenticator, self.who.user, self.who.groups)

    def is_meant(self, token: str) -> bool:
        """True if a form has this login's token."""
        return hmac.compare_digest(self.token.encode(), token.encode("utf-8", "replace"))


class Logins:
    """The logins of one listener."""

    def __init__(self) -> None:
        self._logins: dict[bytes, Login] = {}

    def __len__(self) -> int:
        return len(self._logins)

    def begin(self, who: Admitted) -> str:
        """Log in; the value of the cookie."""
        now = time.monotonic()
        while len(self._logins) >= MOST:
            del self._logins[min(self._logins, key=lambda key: self._logins[key].used)]
        lasts = LONGEST if who.seconds is None else min(who.seconds, LONGEST)
        cookie = secrets.token_urlsafe(32)
        self._logins[_key(cookie)] = Login(who, now + lasts, now, now)
        return cookie

    def find(self, cookie: str, page: Page, *, used: bool) -> Login | None:
        """The login of this cookie; None if it is over, or may no longer see the page. `used`: by a person."""
        login, now = self._logins.get(_key(cookie)), time.monotonic()
        if login is None:
            return None
        if now >= login.ends or now - login.used >= IDLE or login.right(page) is Right.NOTHING:
            self.end(cookie)
            return None
        if used:
            login.used = now
        return login

    def end(self, cookie: str) -> None:
        """Log out."""
        self._logins.pop(_key(cookie), None)


def _key(cookie: str) -> bytes:
    return sha256(cookie.encode("utf-8", "replace")).digest()
