"""What an operator may ask of the running gateway, and do to it; each deed is in the audit.

The control socket and the status page do nothing else than call these. `by` says who asks: `uid 1000 (alice)`, or
`staff/alice`. The methods that do something are for the gateway's event loop; those that only look, for any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ..run.server import Server
from ..state.protocol import Count
from .status import SessionStatus, Status


class Operator:
    """Everything that may be done to one running gateway."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def status(self) -> Status:
        """What is going on."""
        raise NotImplementedError

    def sessions(self) -> list[SessionStatus]:
        """The associations under way, the oldest first."""
        raise NotImplementedError

    def kick(self, session_id: str, by: str, reason: str = "") -> int:
        """End an association; the number of those that were ended: 1, or 0 if there is none of this id."""
        raise NotImplementedError

    def kick_user(self, user: str, by: str, reason: str = "", refused_for: timedelta | None = None) -> int:
        """End all associations of a user, and refuse new ones for so long; the number of those that were ended."""
        raise NotImplementedError

    async def throttled(self) -> list[Count]:
        """The counters of failed logins. Raises StateUnavailable."""
        raise NotImplementedError

    async def clear(self, keys: Sequence[str] | None, by: str) -> int:
        """Clear these counters (None: all); the number of those that there were. Raises StateUnavailable."""
        raise NotImplementedError

    async def reload(self, by: str) -> tuple[str, ...]:
        """Read the configuration again: (), or why it cannot be used."""
        raise NotImplementedError

    def drain(self, by: str) -> None:
        """Begin to drain: as SIGTERM does."""
        raise NotImplementedError
