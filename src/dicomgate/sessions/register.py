"""Every association under way: whose it is, from where to where, since when, and how to end it.

It costs an association nothing but its place in a dictionary: what an operator wants to know is read when he asks.
Reading is safe in any thread, and what is read may be a moment old; `end` is for the event loop's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Protocol

from ..events.events import Cause, Facts


class Traffic(NamedTuple):
    """What an established association has relayed so far (bytes, PDUs), and for how long nothing came (seconds)."""

    bytes_from_client: int
    bytes_from_upstream: int
    pdus_from_client: int
    pdus_from_upstream: int
    idle: float


class Session(Protocol):
    """An association under way.

    `facts` are what is known of it by now, `groups` those of its user, `since` when it was accepted, and `ends` when
    its credential ends it (both aware); None if that does not. `handle` is its authenticator's (see `Accept`). It is
    `over` when it has ended, and only its connections are not closed yet.
    """

    id: str
    facts: Facts
    groups: tuple[str, ...]
    since: datetime
    ends: datetime | None
    handle: object
    over: bool

    @property
    def traffic(self) -> Traffic | None:
        """None before it is established."""

    def end(self, cause: Cause, detail: str) -> None:
        """End it now, for this cause. `detail` is for the records, such as who asked for it."""


class Register:
    """The associations of one gateway, from the accept to the close of their last connection."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter([*self._sessions.values()])

    def enter(self, session: Session) -> None:
        """It begins."""
        self._sessions[session.id] = session

    def leave(self, session: Session) -> None:
        """It is over."""
        self._sessions.pop(session.id, None)

    def get(self, session_id: str) -> Session | None:
        """The one with this id; None if it is over, or never was."""
        return self._sessions.get(session_id)

    def of_user(self, user: str, authenticator: str = "") -> list[Session]:
        """Those of a verified user that are not over; `authenticator` names whose, "" any."""
        return [
            session
            for session in self
            if session.facts.user == user and authenticator in ("", session.facts.authenticator) and not session.over
        ]
