"""The trivial authenticator of the benchmarks: what the gateway itself costs, without a verification."""

from __future__ import annotations

from dicomgate import Accept, Attempt

ACCEPT = Accept("bench")


class Trivial:
    """Accepts everybody, with and without an identity."""

    async def authenticate(self, attempt: Attempt, /) -> Accept:
        """Say yes."""
        return ACCEPT
