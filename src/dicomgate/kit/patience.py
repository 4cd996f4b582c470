"""The time that an attempt waits for its turn is not the time that its authenticator works.

The gateway gives an authenticator the `timeout` of its table to work on an attempt, and the attempt `patience` to wait
for a thread, or for the same question that is under way. Whoever makes an attempt wait says so with `waiting()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Asking(Protocol):
    """The question to an authenticator that is under way in this context."""

    patience: float
    """The seconds for which the attempt may still wait."""
    looked: bool
    """True if the credential was compared with something: then the attempt is a guess, even if nothing is decided."""

    @property
    def source(self) -> str:
        """Whose attempt it is, by the address: those who wait take turns between sources."""

    def wait(self) -> None:
        """From now on the attempt waits."""

    def work(self) -> None:
        """From now on its authenticator works on it."""


waited: ContextVar[float] = ContextVar("waited", default=0.0)
"""The seconds for which the attempt of this context waited before an authenticator was asked."""

asking: ContextVar[Asking | None] = ContextVar("asking", default=None)
"""Set by the gateway around each question; None elsewhere, for example in a test, where nothing limits the waiting."""


def compared() -> None:
    """The credential was compared with something: the attempt is a guess, even if its answer does not come in time."""
    question = asking.get()
    if question is not None:
        question.looked = True


@contextmanager
def waiting() -> Iterator[None]:
    """While the block lasts, the attempt waits: the `timeout` stands still, and `patience` passes."""
    question = asking.get()
    if question is None:
        yield
        return
    question.wait()
    try:
        yield
    finally:
        question.work()
