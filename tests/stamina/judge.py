"""An authenticator that accepts all users, except by the start of their names: unknown, or never decided."""

import asyncio

from dicomgate import Accept, Attempt, Reject

KNOWN, UNKNOWN, PENDING = "known-", "unknown-", "pending-"
pending: set[str] = set()
"""The addresses of the clients that wait for a decision that never comes."""


class Judge:
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
