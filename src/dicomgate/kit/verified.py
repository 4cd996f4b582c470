"""Credentials that were verified to be right: the same one again costs no second verification.

A modality that opens an association for each image sends the same right passcode hundreds of times.

Rule 1: only what was verified to be right is remembered. A wrong credential is verified each time that it comes.
Rule 2: a credential is remembered together with what it was verified against, for example the stored hash. If that is
        read anew for every login, nothing goes stale: with another hash, or none, it is not the same credential.
Rule 3: in memory alone, and never a credential: what is kept is an HMAC under a key that is made for this object. It is
        forgotten when its authenticator ends, so at every reload, and in a child process.
Rule 4: while it remembers a credential of a user, or one is being verified, another one for the same user is a guess,
        and the throttle counts it whatever else happens: a server that is down, or overloaded, must not allow guesses
        without end.
Rule 5: the question whether something is remembered takes the same time whatever was asked. Only a right credential is
        answered sooner, and that it is right, the answer says anyway.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from weakref import WeakSet

from ..contract import Accept, Decision
from ..errors import ConfigError
from .patience import compared, waiting

SECONDS = 600.0
MOST = 20_000
"""So many credentials are remembered; then the one that was not used for the longest time is forgotten."""

_all: WeakSet[Verified] = WeakSet()


class Verified:
    """Remembers `Accept`s for so many `seconds` since their last use; at most `MOST`. For one event loop.

    With `from_use` false the time counts from the verification: for a server that cannot be asked each time whether
    anything has changed. With no seconds nothing is remembered, and everything is verified.
    """

    def __init__(
        self, seconds: float = SECONDS, *, from_use: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._from_use = from_use
        self._clock = clock
        self._key = bytearray(secrets.token_bytes(32))
        self._accepted: OrderedDict[bytes, tuple[float, Accept, str | bytes]] = OrderedDict()
        self._users: Counter[str | bytes] = Counter()  # of what is remembered, and of what is under way
        self._under_way: dict[bytes, asyncio.Future[Decision]] = {}
        _all.add(self)

    async def decide(self, *parts: str | bytes, verify: Callable[[], Awaitable[Decision]]) -> Decision:
        """The remembered `Accept` of these parts (user, secret, what it is verified against), or what `verify` returns.

        An `Accept` is remembered unless it is for one use. One verification serves all that bring the same parts while
        it is under way, right or wrong. Raises what `verify` raises; then those who waited verify for themselves.
        """
        if not self._seconds:
            return await verify()
        user, digest = parts[0], self._digest(parts)
        while (under_way := self._under_way.get(digest)) is not None:
            with waiting():
                await asyncio.wait((under_way,))
            if not under_way.cancelled():
                return under_way.result()
        if (accept := self._recall(digest)) is not None:
            return accept
        if user in self._users:
            compared()
        outcome = self._under_way[digest] = asyncio.get_running_loop().create_future()
        self._users[user] += 1
        try:
            decision = await verify()
            if isinstance(decision, Accept) and decision.once is None:
                self._remember(digest, decision, user)
            outcome.set_result(decision)
        finally:
            del self._under_way[digest]
            self._leave(user)
            outcome.cancel()  # no effect where there is a result
        return decision

    def forget(self) -> None:
        """Forget everything, the key too."""
        self._accepted.clear()
        self._users.clear()
        self._key[:] = secrets.token_bytes(32)

    def _digest(self, parts: tuple[str | bytes, ...]) -> bytes:
        text = bytearray()
        for part in parts:
            data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            text += len(data).to_bytes(8) + data
        digest = hmac.digest(self._key, text, "sha256")
        text[:] = bytes(len(text))
        return digest

    def _recall(self, digest: bytes) -> Accept | None:
        until, accept, user = self._accepted.get(digest, (0.0, None, ""))
        now = self._clock()
        if accept is None or until <= now:
            return None
        if self._from_use:
            self._accepted[digest] = now + self._seconds, accept, user
            self._accepted.move_to_end(digest)
        return accept

    def _remember(self, digest: bytes, accept: Accept, user: str | bytes) -> None:
        now = self._clock()
        self._drop(digest)
        self._accepted[digest] = now + self._seconds, accept, user
        self._users[user] += 1
        while self._accepted and (len(self._accepted) > MOST or next(iter(self._accepted.values()))[0] <= now):
            self._drop(next(iter(self._accepted)))

    def _drop(self, digest: bytes) -> None:
        if (dropped := self._accepted.pop(digest, None)) is not None:
            self._leave(dropped[2])

    def _leave(self, user: str | bytes) -> None:
        self._users[user] -= 1
        if self._users[user] <= 0:  # less where everything was forgotten in between
            del self._users[user]


def remembering(remember: timedelta) -> Verified:
    """For the option `remember` of an authenticator that asks a server. Raises ConfigError for more than a day."""
    if not timedelta(0) <= remember <= timedelta(days=1):
        raise ConfigError("remember: at most 24h")
    return Verified(remember.total_seconds(), from_use=False)


def _forget_all() -> None:
    for one in list(_all):
        one.forget()


os.register_at_fork(after_in_child=_forget_all)
