"""Messages on disk until a collector has them.

Rule 1: a message is in the spool before it is sent, and stays until it is delivered, or was dropped for want of room.
Rule 2: messages keep their order and their numbers, over all ends and starts. The numbers count from 1.
Rule 3: a process that is killed at any moment leaves a spool that can be used: what is torn at its end is cut off, and
        what was delivered last may be sent again.
Rule 4: one process at a time has a spool.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .segment import Record, Segment, encoded, files
from .spool_folder import cannot_be_used, claimed, delivered_of, note_delivered

SEGMENT = 1_048_576
"""Bytes after which a new file is begun."""
_PEEK = 4_096  # bytes
FULL = "the spool is full (spool_max)"


class Place(NamedTuple):
    """A place in the spool: a file by its first number, and a place in it. `number` is that of the record before it."""

    segment: int
    offset: int
    number: int


class Spool:
    """A folder of messages. One thread appends, syncs and drops; another one reads and says what is delivered.

    What is delivered stays where its number is greater than `kept_from`, as long as there is room.
    `torn` is how many bytes in its files were no message when it was opened, `missing` how many messages are lost by
    damage so far.
    """

    def __init__(self, folder: Path, most_bytes: int, segment_bytes: int = SEGMENT) -> None:
        """May block on the disk. Makes the folder if its parent is there. Raises StartError."""
        self.folder = folder
        self.most_bytes = most_bytes
        self.torn = self.missing = 0
        self._segment_bytes = segment_bytes
        self.kept_from = sys.maxsize
        self._gaps: list[range] = []  # the numbers of those that are missing
        self._guard = threading.Lock()
        self._segments: list[Segment] = []
        self._lock = -1
        try:
            self._lock = claimed(folder)
            self._open()
        except OSError as error:
            self.close()
            raise cannot_be_used(folder, error) from error

    @property
    def next_number(self) -> int:
        """The number that the next message gets."""
        return self._last + 1

    @property
    def waiting(self) -> int:
        """How many messages are not delivered yet."""
        return self._last - self._delivered.number

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(segment.size for segment in [*self._segments])

    @property
    def delivered(self) -> Place:
        """Up to where all is delivered."""
        return self._delivered

    @property
    def oldest(self) -> float:
        """The time of the oldest message that is not delivered (seconds since 1970); 0 if there is none."""
        return self._oldest if self.waiting else 0.0

    def append(self, messages: Sequence[tuple[float, bytes]]) -> None:
        """Write messages, all or none, each with its time (seconds since 1970).

        Raises OSError; with ENOSPC if there is no room, on the disk or for `most_bytes`.
        """
        try:
            self._append(messages)
        except OSError:
            if not self._reclaim():
                raise
            self._append(messages)

    def _append(self, messages: Sequence[tuple[float, bytes]]) -> None:
        first = self.next_number
        data = b"".join(encoded(first + index, *message) for index, message in enumerate(messages))
        if self.size + len(data) > self.most_bytes:
            raise OSError(errno.ENOSPC, FULL)
        segment = self._segments[-1] if self._segments else None
        # The last one ends with another number where damage has put a message into two files.
        if segment and segment.last == self._last and segment.size + len(data) <= self._segment_bytes:
            segment.append(data, len(messages))
        else:
            self._begin(first, data, len(messages))
        with self._guard:
            if not self.waiting:
                self._oldest = messages[0][0]
            self._last += len(messages)
            self._remove_delivered()

    def _begin(self, first: int, data: bytes, count: int) -> None:
        """Begin a new file with these records."""
        created = Segment.create(self.folder, first)
        try:
            created.append(data, count)
            if self._segments:
                self._segments[-1].sync()
        except OSError:
            created.remove()
            raise
        with self._guard:
            self._segments.append(created)

    def _reclaim(self) -> bool:
        """Remove all that is delivered, the file that is written to, too. False if there is nothing to remove."""
        with self._guard:
            before = len(self._segments)
            while self._segments and self._segments[0].last <= self._delivered.number:
                self._segments.pop(0).remove()
            return len(self._segments) < before

    def sync(self) -> None:
        """Wait until what was appended is on the disk. Raises OSError."""
        if self._segments:
            self._segments[-1].sync()

    def drop_oldest(self) -> int:
        """Delete the oldest file, but the one that is written to; how many messages are lost with it."""
        with self._guard:
            if len(self._segments) < 2:
                return 0
            dropped = self._segments.pop(0)
            lost = max(0, dropped.last - max(self._delivered.number, dropped.first - 1))
            if lost:
                self._deliver(Place(self._segments[0].first, 0, dropped.last))
            dropped.remove()
        return lost

    def read(self, place: Place, most_bytes: int) -> list[tuple[Place, bytes]]:
        """Messages after this place, each with the place behind it; [] if there are none. Raises OSError.

        Numbers that are left out are those of messages that were dropped, or damaged.
        """
        with self._guard:
            for segment in self._segments:
                start = place.offset if segment.first == place.segment else 0
                if segment.last <= place.number:
                    continue
                records = segment.records(start, most_bytes, place.number)
                if found := [one for one in records if one.number > place.number]:
                    self._miss(found[0].number, max(place.number, self._delivered.number))
                    return [(Place(segment.first, one.end, one.number), one.message) for one in found]
        return []

    def deliver(self, place: Place) -> None:
        """All up to this place is delivered. Where the disk is too full to note that, it may be sent again one day."""
        with self._guard:
            if place.number <= self._delivered.number:
                return
            self._deliver(place)
            self._remove_delivered()
            number = self._delivered.number
        with suppress(OSError):
            note_delivered(self.folder, number)

    def close(self) -> None:
        """Leave it to another one. Idempotent."""
        for segment in self._segments:
            segment.close()
        self._segments.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self) -> None:
        self._last = delivered = delivered_of(self.folder)
        self._oldest = 0.0
        place = Place(0, 0, delivered)
        paths, self.torn = files(self.folder)
        for path in paths:
            segment, records, torn = Segment.read(path)
            self.torn += torn
            self._miss(segment.first, self._last)
            self._last = max(self._last, segment.last)
            if segment.last <= delivered or not records:
                segment.remove()
                continue
            for record in records:
                if record.number <= delivered:
                    place = Place(segment.first, record.end, record.number)
                elif not self._oldest:
                    self._oldest = record.time
            self._segments.append(segment)
        self._delivered = place

    def _miss(self, number: int, before: int) -> None:
        """This message follows that one: those between them are missing, if there are any."""
        if gap := range(before + 1, number):
            known = sum(len(range(max(gap.start, one.start), min(gap.stop, one.stop))) for one in self._gaps)
            if known < len(gap):
                self._gaps.append(gap)
                self.missing += len(gap) - known

    def _deliver(self, place: Place) -> None:
        self._delivered = place
        self._oldest = 0.0
        for segment in self._segments:
            if segment.last > place.number:
                start = place.offset if segment.first == place.segment else 0
                with suppress(OSError):
                    following: list[Record] = segment.records(start, _PEEK, place.number)
                    self._oldest = following[0].time if following else 0.0
                return

    def _remove_delivered(self) -> None:
        # Never the last one: another thread writes to it.
        done = min(self._delivered.number, self.kept_from)
        while len(self._segments) > 1 and self._segments[0].last <= done:
            self._segments.pop(0).remove()
