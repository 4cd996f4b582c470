"""Authenticators: one counts what the process has, one is quick, one notes what it verified, one may not decide."""

import asyncio
import gc
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.messages import PASSCODE
from dicomgate import Accept, Attempt, IdentityType, Once, Reject
from dicomgate.net.lifetime import Lifetime
from dicomgate.net.relay import Relay
from dicomgate.run.assembly import Assembly


class Inspector:
    """Accepts every attempt, as a user whose attributes, which the audit keeps, count what is in the process."""

    async def authenticate(self, attempt: Attempt, /) -> Accept:
        before = _kinds()[Lifetime]
        gc.collect()  # what is counted is what is still referred to
        kinds = _kinds()
        counts = {
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "sessions": kinds[Lifetime],
            "relays": kinds[Relay],
            "assemblies": kinds[Assembly],
            "collected": before - kinds[Lifetime],
        }
        return Accept("inspector", attributes={name: str(count) for name, count in counts.items()})


def _kinds() -> Counter[type]:
    return Counter(type(thing) for thing in gc.get_objects())


class Quick:
    """Accepts every username with the right passcode; no hash, no thread."""

    handles = (IdentityType.USERNAME_AND_PASSCODE,)

    async def authenticate(self, attempt: Attempt, /) -> Accept | Reject:
        assert attempt.identity is not None
        if attempt.identity.secondary != PASSCODE:
            return Reject("wrong passcode")
        return Accept(attempt.identity.username or "")


class Notary:
    """Takes the right passcode, and every token once; a name alone proves nothing. It notes each verification.

    Like many a directory it takes names for the same that differ in case and in spaces around them.
    """

    def __init__(self, notes: Path) -> None:
        self._notes = notes

    async def authenticate(self, attempt: Attempt, /) -> Accept | Reject:
        identity = attempt.identity
        assert identity is not None
        user = (identity.username or "").strip().casefold()
        with self._notes.open("a", encoding="utf-8") as notes:  # appended in one piece: other gateways write there, too
            notes.write(f"{user or 'token'}\n")
        await asyncio.sleep(0.01)  # a verification takes some time, in which others come
        if identity.type is IdentityType.JWT:
            return Accept("bearer", once=Once(identity.primary.decode(), datetime.now(UTC) + timedelta(hours=1)))
        return Accept(user) if identity.secondary == PASSCODE else Reject("wrong passcode")


KNOWN, UNKNOWN, PENDING = "known-", "unknown-", "pending-"
pending: set[str] = set()
"""The addresses of the clients that wait for a decision that never comes."""


class Judge:
    """Accepts all users, except by the start of their names: unknown, or never decided."""

    async def authenticate(self, attempt: Attempt, /) -> Accept | Reject:
        assert attempt.identity is not None
        username = attempt.identity.username or ""
        if username.startswith(UNKNOWN):
            return Reject("unknown")
        if username.startswith(PENDING):
            pending.add(attempt.peer.address)
            try:
                await asyncio.Event().wait()
            finally:
                pending.remove(attempt.peer.address)
        return Accept(username)
