"""`use = "passcode"`: User-Identity-Type 2 and, if enabled, type 1, checked against an htpasswd file (PS3.7 D.3.3.7.1).

Rule 1: every attempt costs one verification, and every refusal takes at least the floor, for every user and reason.
        Only a passcode that was verified to be right, against the same hash and within ten minutes, costs nothing.
Rule 2: the name is compared exactly: no case folding, no trimming, no normalisation. The passcode is verified
        exactly as received.
Rule 3: only the file decides a login, and a login never writes it: an operator's tools write it too, and know no lock
        of ours. A gateway that rewrote it could bring back a user whom they remove at that moment.

It is asynchronous, with a thread for hashes on each core: nothing but a hash waits for one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from dicomgate import Accept, Attempt, Decision, Identity, IdentityType, Pass, Reject, Unavailable, always
from dicomgate.kit.credentials import name_of
from dicomgate.kit.equal_time import seconds_left
from dicomgate.kit.patience import compared
from dicomgate.kit.threads import ComputingThreads
from dicomgate.kit.verified import Verified

from .dummy_hash import DummyHash
from .hashing import HashingFailedError
from .users_file import User, why_not
from .watched_users import WatchedUsers


@dataclass(kw_only=True, eq=False)
class Passcode:
    """The users of an htpasswd file. Raises ConfigError if it cannot be read, is wrong, or is writable by everybody."""

    file: Path
    """The htpasswd file. `dicomgate passcode add` makes it; changes to it count from the next login on."""

    username_only: bool = False
    """True: also accept a username without a passcode (type 1) for the users in the file. This proves nothing."""

    unknown_user: Literal["reject", "pass"] = "reject"
    """For a user who is not in the file: "reject", or "pass" to ask the next authenticator."""

    handles: frozenset[IdentityType] = field(init=False, repr=False)
    _users: WatchedUsers = field(init=False, repr=False)
    _threads: ComputingThreads = field(init=False, repr=False)
    _verified: Verified = field(init=False, repr=False)

    def __post_init__(self) -> None:
        alone = {IdentityType.USERNAME} if self.username_only else set()
        self.handles = frozenset({IdentityType.USERNAME_AND_PASSCODE} | alone)
        self._users = WatchedUsers(self.file)
        self._begin()

    def _begin(self) -> None:
        self._threads = ComputingThreads("passcode-hashing")
        self._verified = Verified()

    async def __aenter__(self) -> Passcode:
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._verified.forget()
        self._threads.close()

    async def authenticate(self, attempt: Attempt, /) -> Decision:
        """Accept or reject one attempt; Unavailable if there is not enough memory for its hash."""
        identity = attempt.identity
        if identity is None or identity.type not in self.handles:
            return Pass("not a username with a passcode", always)
        snapshot = await self._users.current_async()
        user = snapshot.users.get(name_of(identity))
        verify = partial(self._verify, identity, user, snapshot.dummy)
        if identity.type is IdentityType.USERNAME_AND_PASSCODE:
            # With the hash: another one, or none, makes it another credential.
            stored = () if user is None else (user.hash,)
            decision = await self._verified.decide(identity.primary, identity.secondary, *stored, verify=verify)
        else:
            decision = await verify()
        if isinstance(decision, Reject | Pass):
            return replace(decision, stands=partial(self._users.is_current, snapshot))
        return decision

    async def still_valid(self, user: str, handle: object, /) -> Accept | Reject:
        """Whether the user may still log in. A new passcode changes nothing: it is no reason to end a transfer."""
        found = (await self._users.current_async()).users.get(user)
        refusal = _refusal(found)
        return Reject(refusal) if refusal else Accept(user)

    async def _verify(self, identity: Identity, user: User | None, dummy: DummyHash) -> Decision:
        began, decision = await self._threads.run(self._timed, identity, user, dummy)
        if isinstance(decision, Accept):
            # It may have waited for seconds, and the user be another one by now, or none.
            now = (await self._users.current_async()).users.get(decision.user)
            if now is None or user is None or now.hash != user.hash:
                return Unavailable("the user was changed in the file while the login was verified")
        else:
            if not isinstance(decision, Unavailable):
                compared()  # or refusals that the floor makes late would be guesses that nobody counts
            await asyncio.sleep(seconds_left(began, dummy.floor))
        return decision

    def _timed(self, identity: Identity, user: User | None, dummy: DummyHash) -> tuple[float, Decision]:
        """When the verification began, and the decision; in a thread."""
        began = time.monotonic()
        try:
            return began, self._judge(identity, user, dummy)
        except HashingFailedError:
            return began, Unavailable("a hash could not be computed: not enough memory")

    def _judge(self, identity: Identity, user: User | None, dummy: DummyHash) -> Decision:
        passcode = identity.secondary
        with_passcode = identity.type is IdentityType.USERNAME_AND_PASSCODE
        text, cost = (user.hash, user.cost) if user is not None and with_passcode else ("", None)
        wrong = dummy.what_is_wrong(passcode, text, cost)
        if with_passcode and not passcode:
            # Never Pass: a directory takes an empty password for an anonymous login, which succeeds (RFC 4513 5.1.2).
            return Reject("empty passcode")
        refusal = _refusal(user)
        if user is None:
            return Pass(refusal) if self.unknown_user == "pass" else Reject(refusal)
        if refusal or (with_passcode and wrong):
            return Reject(refusal or wrong)
        return Accept(user=user.name)


def _refusal(user: User | None) -> str:
    """Why nobody can log in as this user; "" if somebody can."""
    if user is None:
        return "unknown user"
    return f"the user cannot log in: {why_not(user.hash)}" if user.cost is None else ""
