"""Messages on disk until a collector has them.

Rule 1: a message is in the spool before it is sent, and stays until it is delivered, or was dropped for want of room.
Rule 2: messages keep their order and their numbers, over all ends and starts. The numbers count from 1.
Rule 3: a process that is killed at any moment leaves a spool that can be used: what is torn at its end is cut off, and
        what was delivered last may be sent again.
Rule 4: one process at a time has a spool.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import StartError
from .segment import Record, Segment, encoded, files

SEGMENT = 1_048_576
"""Bytes after which a new file is begun."""
_FOLDER_MODE = 0o750
_CURSOR, _LOCK = "delivered", "lock"
_PEEK = 4_096  # bytes
FULL = "the spool is full (spool_max)"


class Place(NamedTuple):
    """A place in the spool: a file by its first number, and a place in it. `number` is that of the record before it."""

    segment: int
    offset: int
    number: int


class Spool:
    """A folder of messages. One thread appends, syncs and drops; another one reads and says what is delivered.

    `torn` is how many bytes in its files were no message when it was opened, `missing` how many messages are lost so.
    """

    def __init__(self, folder: Path, most_bytes: int, segment_bytes: int = SEGMENT) -> None:
        """May block on the disk. Makes the folder if its parent is there. Raises StartError."""
        self.folder = folder
        self.most_bytes = most_bytes
        self.torn = self.missing = 0
        self._segment_bytes = segment_bytes
        self._guard = threading.Lock()
        self._segments: list[Segment] = []
        try:
            folder.mkdir(_FOLDER_MODE, exist_ok=True)
            _check_mode(folder)
            self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise cannot_be_used(folder, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        if self._segments and self._segments[-1].size + len(data) <= self._segment_bytes:
            self._segments[-1].append(data, len(messages))
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
        """Remove the file that is written to, too, if all of it is delivered. False if there is nothing to remove."""
        with self._guard:
            if not self._segments or self._segments[-1].last > self._delivered.number:
                return False
            while self._segments:
                self._segments.pop().remove()
        return True

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
                if segment.last > place.number and (records := segment.records(start, most_bytes, place.number)):
                    to = segment.first
                    return [
                        (Place(to, one.end, one.number), one.message) for one in records if one.number > place.number
                    ]
        return []

    def deliver(self, place: Place) -> None:
        """All up to this place is delivered. Where the disk is too full to note that, it may be sent again one day."""
        with self._guard:
            if place.number <= self._delivered.number:
                return
            self._deliver(place)
            self._remove_delivered()
            number = self._delivered.number
        new = self.folder / f"{_CURSOR}.new"
        with suppress(OSError):
            new.write_text(f"{number}\n", "ascii")
            new.replace(self.folder / _CURSOR)

    def close(self) -> None:
        """Leave it to another one. Idempotent."""
        for segment in self._segments:
            segment.close()
        self._segments.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _open(self) -> None:
        delivered = 0
        with suppress(FileNotFoundError, ValueError):
            delivered = int((self.folder / _CURSOR).read_text("ascii"))
        self._last = delivered
        self._oldest = 0.0
        place = Place(0, 0, delivered)
        paths, self.torn = files(self.folder)
        for path in paths:
            segment, records, torn = Segment.read(path)
            self.torn += torn
            self.missing += max(0, segment.first - self._last - 1)
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
        while len(self._segments) > 1 and self._segments[0].last <= self._delivered.number:
            self._segments.pop(0).remove()


def _check_mode(folder: Path) -> None:
    # Who can write there can forge messages, and lead ours elsewhere by links.
    if folder.stat().st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, "everybody can write to it; name a folder of the gateway's own")


def cannot_be_used(folder: Path, error: OSError) -> StartError:
    """What to raise when a spool cannot be opened: it says why, and what to do."""
    why = error.strerror or str(error)
    if error.errno == errno.ENOENT:
        why = f"there is no folder {folder.parent}; make it, and give it to the gateway's user"
    elif isinstance(error, BlockingIOError):
        why = "another gateway uses it; give each a folder of its own"
    return StartError(f"the audit spool {folder} cannot be used: {why}")
