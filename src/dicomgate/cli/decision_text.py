"""Decisions in the words of a table, and as the exit status of a command."""

from __future__ import annotations

from collections.abc import Iterable

from ..contract import Accept, Decision, Pass, Reject, Unavailable
from ..errors import NegativeAnswer, StartError
from ..events.log import quoted


def in_words(decision: Decision) -> tuple[str, str]:
    """A decision as two cells of a table: yes, no, not mine or could not look; and the details or the reason."""
    if not isinstance(decision, Accept):
        return {Reject: "no", Pass: "not mine"}.get(type(decision), "could not look"), decision.reason
    details = [f"user {quoted(decision.user)}"]
    if decision.groups:
        details.append(f"groups {', '.join(quoted(group) for group in sorted(decision.groups))}")
    if decision.expires_at is not None:
        details.append(f"until {decision.expires_at.isoformat(timespec='seconds')}")
    if decision.server_response is not None:
        details.append(f"a response of {len(decision.server_response)} bytes")
    return "yes", ", ".join(details)


def conclude(decisions: Iterable[Decision], what: str) -> None:
    """Return if somebody accepts `what`. Raises StartError if one could not look, NegativeAnswer if none could."""
    asked = list(decisions)
    if any(isinstance(decision, Accept) for decision in asked):
        return
    for decision in asked:
        if isinstance(decision, Unavailable):
            raise StartError(decision.reason)
    raise NegativeAnswer(f"no authenticator accepts this {what}")
