"""What an operator orders at all gateways: the end of associations, or of all those of a user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter

from ..events.events import Cause, Operated
from ..kit.durations import duration_text
from .register import Register
from .shut_outs import ShutOuts

LONGEST = 366 * 86_400.0
"""Seconds that a user may be shut out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kick:
    """End the associations `session_ids`; or all those of `user`, whom `authenticator` has verified ("": any).

    `refused_for`: in seconds, how long new ones of the user are refused; with 0 the user is let in again, and keeps
    what is there. `by` is who orders it.
    """

    by: str
    reason: str = ""
    session_ids: tuple[str, ...] = ()
    user: str = ""
    authenticator: str = ""
    refused_for: Annotated[float, Field(ge=0, le=LONGEST)] | None = None

    @property
    def why(self) -> str:
        """Who has ordered it, and why; for the records."""
        return f"{self.by}: {self.reason}" if self.reason else self.by

    def operated(self, session_id: str = "", problem: str = "") -> Operated:
        """The record of the end of this association, or of what the user gets; `problem`: why it was not done."""
        action, target, reason = "kick", session_id, self.reason
        if self.user:
            action, target = "kick user", f"{self.authenticator}/{self.user}" if self.authenticator else self.user
        if self.refused_for is not None:
            lasting = f"for {duration_text(timedelta(seconds=self.refused_for))}"
            action, reason = "shut out", f"{lasting}: {reason}" if reason else lasting
        if self.refused_for == 0:
            action, reason = "let in", self.reason
        return Operated(datetime.now(UTC), action, target, self.by, reason, problem)


_KICK = TypeAdapter(Kick)
_ENDED = TypeAdapter(list[str])


def written(kick: Kick) -> str:
    """As another gateway reads it."""
    return _KICK.dump_json(kick).decode()


def read(text: str) -> Kick:
    """What another gateway has written. Raises ValueError."""
    return _KICK.validate_json(text)


def ended_written(ids: list[str]) -> str:
    """The ids of the associations that were ended, as the gateway reads them that has ordered it."""
    return _ENDED.dump_json(ids).decode()


def ended_read(text: str) -> list[str]:
    """The same; raises ValueError."""
    return _ENDED.validate_json(text)


def carry_out(kick: Kick, register: Register, shut_outs: ShutOuts, age: float = 0.0) -> list[str]:
    """Do it on this gateway, in its loop: the ids of the associations that were ended.

    `age`: it was ordered so many seconds ago. Who has come in since then stays, unless he is shut out. Raises
    DicomgateError if too many are shut out already; then nothing has changed.
    """
    found = [one for one in map(register.get, kick.session_ids) if one is not None and not one.over]
    if kick.user:
        found = register.of_user(kick.user, kick.authenticator)
    if kick.refused_for is not None:
        # Before the ends: a client that comes again at once is refused.
        shut_outs.add(kick.user, max(0.0, kick.refused_for - age), kick.why, kick.authenticator)
        found = found if kick.refused_for else []
    elif kick.user and age:  # not by the clock where it is ordered here and now: somebody may have set that back
        ordered = datetime.now(UTC) - timedelta(seconds=age)
        found = [one for one in found if one.since <= ordered]
    for session in found:
        session.end(Cause.KICKED, kick.why)
    return [one.id for one in found]
