"""Authenticators for these tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dicomgate import Accept, Attempt, Decision, IdentityType, Reject

GENUINE = {1: (b"alice", b""), 2: (b"alice", b"canary-pass"), 3: (b"ticket", b""), 4: (b"saml", b""), 5: (b"jwt", b"")}
"""What `Ward` accepts, by type: the two fields of an identity."""
FALSE = {1: (b"bob", b""), 2: (b"alice", b"false"), 3: (b"stub", b""), 4: (b"lmas", b""), 5: (b"twj", b"")}


def raises(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises this, whatever it is called with."""

    def function(*_: Any) -> Any:
        raise error

    return function


@dataclass
class Ward:
    """Accepts what is GENUINE, with a response, and remembers all attempts."""

    response: bytes | None = b"you are welcome"
    expires: timedelta | None = None
    attempts: list[Attempt] = field(default_factory=list)

    def authenticate(self, attempt: Attempt) -> Decision:
        self.attempts.append(attempt)
        identity = attempt.identity
        if identity is None or (identity.primary, identity.secondary) != GENUINE[identity.type]:
            return Reject("unknown")
        until = datetime.now(UTC) + (self.expires or timedelta(hours=1))
        return Accept("alice", server_response=self.response, expires_at=until if self.expires else None)


class Visitors:
    """Lets in who brings no identity."""

    handles = frozenset({None})

    async def authenticate(self, attempt: Attempt) -> Decision:
        return Accept(f"visitor from {attempt.calling_ae_title}")


class Faulty:
    """Does what it is told to."""

    handles = frozenset(IdentityType)

    def __init__(self, fault: Any) -> None:
        self._fault = fault

    def authenticate(self, attempt: Attempt) -> Any:
        return self._fault()
