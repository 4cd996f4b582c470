"""What a collector has for certain.

RFC 5425 has no acknowledgement, and that of TCP says only that the collector's host has the bytes.

Rule: what was sent counts as delivered once all of it was acknowledged by TCP, and the connection has lived on for
`GRACE` seconds after that. What was sent on a connection that ends before is sent again on the next one. So a collector
that is restarted loses nothing, and may have some messages twice, with the same sequenceId.
"""

from __future__ import annotations

from typing import Generic, TypeVar

GRACE = 2.0
"""Seconds in which a collector has read what its host has."""
WINDOW = 1_048_576
"""Bytes that are sent before TCP must have acknowledged them all."""

P = TypeVar("P")


class Tail(Generic[P]):
    """What was sent on one connection. Positions may be of any kind; times are seconds of any one clock."""

    def __init__(self) -> None:
        self._sent: P | None = None
        self._bytes = 0  # since TCP had acknowledged all
        self._taken: tuple[float, P] | None = None

    @property
    def waits(self) -> bool:
        """True if something that was sent does not count as delivered yet."""
        return self._sent is not None or self._taken is not None

    @property
    def may_send(self) -> bool:
        """False if so much is under way that TCP's acknowledgement must be waited for."""
        return self._bytes < WINDOW

    def sent(self, position: P, size: int) -> None:
        """So many bytes were sent; with them, all up to this position is."""
        self._sent = position
        self._bytes += size

    def looked(self, queued: int, now: float) -> P | None:
        """The connection lives, and TCP has `queued` bytes to send or to be acknowledged. Up to where all is delivered.

        None if nothing more is.
        """
        delivered = None
        if self._taken is not None and now - self._taken[0] >= GRACE:
            (_, delivered), self._taken = self._taken, None
        if not queued:
            self._bytes = 0
            if self._taken is None and self._sent is not None:
                self._taken, self._sent = (now, self._sent), None
        return delivered
