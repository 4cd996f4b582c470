"""What a collector has for certain.

RFC 5425 has no acknowledgement, and that of TCP says only that the collector's host has the bytes.

Rule 1: what was sent counts as delivered once all of it was acknowledged by TCP, and the connection has lived on for
        `GRACE` seconds after that. What was sent on a connection that ends before is sent again on the next one. So a
        collector that is restarted loses nothing, and may have some messages twice, with the same sequenceId.
Rule 2: a collector that hangs has acknowledged what it has never read. If it is ended then, its host resets the
        connection, where an orderly end would say that all was read (RFC 9293 3.10.4). After a reset, or without a word
        of the host, all that may not have been read is sent again: no more than a host keeps for a process.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

GRACE = 2.0
"""Seconds in which a collector has read what its host has."""
WINDOW = 1_048_576
"""Bytes that are sent before TCP must have acknowledged them all."""
KEPT = 8_388_608
"""Bytes: more than a host keeps for a process that does not read (Linux: 6 MiB, net.ipv4.tcp_rmem)."""
KEPT_FOR = 600.0
"""Seconds after which a collector has read what its host has, hang as it may."""

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


class Unread(Generic[P]):
    """What one connection's collector may not have read although it is delivered: all after `since`."""

    def __init__(self, start: P) -> None:
        """What was sent before `start` was read."""
        self.last = start
        self._since = start
        self._bytes = 0
        self._delivered: deque[tuple[P, float, int]] = deque()

    def sent(self, size: int) -> None:
        """So many bytes were sent."""
        self._bytes += size

    def delivered(self, position: P, now: float) -> None:
        """All up to this position counts as delivered."""
        self.last = position
        self._delivered.append((position, now, self._bytes))

    def since(self, now: float) -> P:
        """All up to here was read."""
        while self._delivered and (
            now - self._delivered[0][1] > KEPT_FOR or self._bytes - self._delivered[0][2] > KEPT
        ):
            self._since = self._delivered.popleft()[0]
        return self._since
