"""An authenticator in a chain: whatever it does, the outcome is a decision in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from ..contract import Attempt, Authenticator, Decision, IdentityType
from ..kit.threads import THREADS
from .decision_check import check_decision
from .groups import GroupSource
from .plugged import Pending, Plugged, answered

DEFAULT_DEADLINE = timedelta(seconds=2)
DEFAULT_PATIENCE = timedelta(seconds=4)
"""Clients give up after five seconds or so, and come again: longer waits serve nobody."""
DEFAULT_WORKERS = THREADS


class Link(Plugged[Attempt, Decision]):
    """One authenticator under its configured name."""

    def __init__(
        self,
        name: str,
        authenticator: Authenticator,
        *,
        deadline: timedelta = DEFAULT_DEADLINE,
        patience: timedelta = DEFAULT_PATIENCE,
        workers: int = DEFAULT_WORKERS,
        next_on_error: bool = False,
        groups_from: GroupSource | None = None,
    ) -> None:
        """Raises PluginError for an object that is not an authenticator."""
        times = deadline.total_seconds(), patience.total_seconds()
        super().__init__("authenticator", name, authenticator, "authenticate", check_decision, *times, workers)
        self.next_on_error = next_on_error
        self.groups_from = groups_from

    def handles(self, kind: IdentityType | None) -> bool:
        """True if attempts of this identity type (None: without identity) are shown to the authenticator."""
        handles = self.members.handles
        return handles is None or kind in handles

    async def ask(self, attempt: Attempt) -> Decision:
        """The authenticator's decision, or `Unavailable` within the deadline. Raises only if cancelled."""
        return await answered(partial(self.begin, attempt))

    def begin(self, attempt: Attempt, done: Callable[[Decision], None]) -> Pending:
        """As `ask`, but calls `done` with the decision: once, and never before this returns."""
        return self.ask_about(attempt, attempt.id, attempt.peer.address, done)
