"""An authenticator in a chain: whatever it does, the outcome is a decision in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from ..contract import Accept, Attempt, Authenticator, Decision, IdentityType, Reject, Unavailable
from ..errors import ConfigError, Problem
from ..kit.threads import THREADS
from .decision_check import Defect, check_decision, check_standing
from .groups import GroupSource
from .plugged import Method, Pending, Plugged, answered

DEFAULT_DEADLINE = timedelta(seconds=2)
DEFAULT_PATIENCE = timedelta(seconds=4)
"""Clients give up after five seconds or so, and come again: longer waits serve nobody."""
DEFAULT_WORKERS = THREADS


_Standing: TypeAlias = Accept | Reject | Unavailable
_CANNOT = (
    "this authenticator cannot say whether a user may still log in (its page may say why); leave revalidate out: its "
    "associations end with their credential, if that expires, or when an operator ends them"
)


class Link(Plugged):
    """One authenticator under its configured name.

    `revalidate` is the time between two questions whether a user is still valid, in seconds; None for no such question.
    """

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
        revalidate: timedelta | None = None,
        end_if_unavailable: bool = False,
    ) -> None:
        """Raises PluginError for an object that is not an authenticator, ConfigError if it cannot `revalidate`."""
        super().__init__(
            "authenticator", name, authenticator, deadline.total_seconds(), patience.total_seconds(), workers
        )
        check: Callable[[object], Decision | Defect] = check_decision if revalidate else _without_handle
        self._authenticate: Method[Decision] = self.method("authenticate", check)
        self.next_on_error = next_on_error
        self.groups_from = groups_from
        self.revalidate = None if revalidate is None else revalidate.total_seconds()
        self.end_if_unavailable = end_if_unavailable
        if revalidate is not None and self.members.still_valid is None:
            raise ConfigError([Problem(("revalidate",), _CANNOT)])

    def handles(self, kind: IdentityType | None) -> bool:
        """True if attempts of this identity type (None: without identity) are shown to the authenticator."""
        handles = self.members.handles
        return handles is None or kind in handles

    async def ask(self, attempt: Attempt) -> Decision:
        """The authenticator's decision, or `Unavailable` within the deadline. Raises only if cancelled."""
        return await answered(partial(self.begin, attempt))

    def begin(self, attempt: Attempt, done: Callable[[Decision], None]) -> Pending:
        """As `ask`, but calls `done` with the decision: once, and never before this returns."""
        return self.ask_about(self._authenticate, (attempt,), attempt.id, attempt.peer.address, done)

    async def still_valid(self, user: str, handle: object) -> _Standing:
        """Whether a user may still log in who was accepted with this handle; in time, as `ask`.

        Nothing is logged: the caller tells. Raises PluginError for an authenticator that has no such method.
        """
        method: Method[_Standing] = self.method("still_valid", check_standing)
        answer: _Standing = await answered(partial(self.ask_about, method, (user, handle), "", ""))
        if isinstance(answer, Accept) and answer.user != user:
            return Unavailable("defect: it was asked about one user, and accepted another")
        return answer


def _without_handle(answer: object) -> Decision | Defect:
    """What is never needed is not kept."""
    decision = check_decision(answer)
    return replace(decision, handle=None) if isinstance(decision, Accept) and decision.handle is not None else decision
