"""An authenticator for tests of what is opened and closed around it."""

from __future__ import annotations

from dicomgate import Accept, Attempt, Decision

LIFE: list[str] = []
"""When one was entered and left; a test clears it."""


class Entered:
    """Says when it is entered and left; cannot be entered if it `fails`."""

    fails = False

    async def __aenter__(self) -> None:
        LIFE.append("enter")
        if self.fails:
            raise ConnectionRefusedError

    async def __aexit__(self, *_: object) -> None:
        LIFE.append("leave")


class Fake(Entered):
    """An authenticator whose table says what it handles."""

    def __init__(self, handles: list[int | None] | None = None, fails: bool = False) -> None:
        self.handles = None if handles is None else [kind or None for kind in handles]
        self.fails = fails

    def authenticate(self, attempt: Attempt) -> Decision:
        return Accept("alice")
