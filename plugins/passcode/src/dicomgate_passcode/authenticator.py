"""`use = "passcode"`: User-Identity-Type 2 and, if enabled, type 1, checked against an htpasswd file (PS3.7 D.3.3.7.1).

Rule 1: every attempt costs one verification and takes at least the floor, for every user and every reason.
Rule 2: the name is compared exactly: no case folding, no trimming, no normalisation. The passcode is verified
        exactly as received.
Rule 3: only the file decides a login, and a login never writes it: an operator's tools write it too, and know no lock
        of ours. A gateway that rewrote it could bring back a user whom they remove at that moment.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from dicomgate import Accept, Attempt, Decision, Identity, IdentityType, Pass, Reject, Unavailable, always
from dicomgate.kit.credentials import name_of
from dicomgate.kit.equal_time import seconds_left

from .hashing import HashingFailedError
from .users_file import why_not
from .watched_users import Snapshot, WatchedUsers


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

    def __post_init__(self) -> None:
        alone = {IdentityType.USERNAME} if self.username_only else set()
        self.handles = frozenset({IdentityType.USERNAME_AND_PASSCODE} | alone)
        self._users = WatchedUsers(self.file)

    def authenticate(self, attempt: Attempt, /) -> Decision:
        """Accept or reject one attempt. Blocks for the time of a login, so call it in a thread. Thread-safe."""
        identity = attempt.identity
        if identity is None or identity.type not in self.handles:
            return Pass("not a username with a passcode", always)
        start = time.monotonic()
        snapshot = self._users.current()
        try:
            decision = self._judge(identity, snapshot)
            if isinstance(decision, Reject | Pass):
                return replace(decision, stands=partial(self._users.is_current, snapshot))
            return decision
        except HashingFailedError:
            return Unavailable("a hash could not be computed: not enough memory")
        finally:
            time.sleep(seconds_left(start, snapshot.dummy.floor))

    def _judge(self, identity: Identity, snapshot: Snapshot) -> Decision:
        user = snapshot.users.get(name_of(identity))
        passcode = identity.secondary
        with_passcode = identity.type is IdentityType.USERNAME_AND_PASSCODE
        text, cost = (user.hash, user.cost) if user is not None and with_passcode else ("", None)
        wrong = snapshot.dummy.what_is_wrong(passcode, text, cost)
        if with_passcode and not passcode:
            # Never Pass: a directory takes an empty password for an anonymous login, which succeeds (RFC 4513 5.1.2).
            return Reject("empty passcode")
        if user is None:
            return Pass("unknown user") if self.unknown_user == "pass" else Reject("unknown user")
        if user.cost is None:
            return Reject(f"the user cannot log in: {why_not(user.hash)}")
        if with_passcode and wrong:
            return Reject(wrong)
        return Accept(user=user.name)
