"""The state in a file of SQLite, shared by the processes of one machine; or in this process's memory.

Rule 1: a thread of its own opens, uses and closes the file. Callers wait in the event loop, and no longer than the
        deadline; a caller that gives up before its turn leaves nothing behind.
Rule 2: a transaction takes the write lock first (BEGIN IMMEDIATE): no process decides by what another is about to
        change. It answers all questions that are waiting, one after the other: writing it takes longer than they do.
Rule 3: a process that is killed leaves whole transactions (WAL). If the machine itself fails, the last ones may be lost
        but the file is consistent (synchronous = NORMAL): no attempt waits for a disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..errors import StartError, StateUnavailable
from .damage import is_damage, is_passing, look_for_damage, move_aside, stuck
from .protocol import Backoff, Count, Grant, Limits
from .questions import Question, Questions
from .sqlite_tables import Ledger, prepare

_log = logging.getLogger("dicomgate.state")
_PATIENCE = 0.8  # of the deadline: how long one process waits for the lock of another
_LOOKING = 0.2  # of the deadline: how long a file is searched for damage
_Answer = TypeVar("_Answer")


class SqliteState:
    """A `SharedState` in the file at `path`; None: in the memory of this process."""

    def __init__(self, path: Path | None = None, limits: Limits | None = None, *, mend: bool = False) -> None:
        """Open the file; create it, readable for its owner alone, if it is missing. Raises StartError.

        `mend`, for a gateway that serves: a damaged file is moved aside, and a new one begun; one that is out of reach
        for now (locked, a full disk) is opened by a later question.
        """
        self._path = path
        self._mend = mend
        self._limits = limits or Limits()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dicomgate-state")
        self._questions = Questions(self._thread, (OSError, sqlite3.Error))
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        try:
            self._thread.submit(self._opened_connection).result(self._limits.deadline)
        except (OSError, TimeoutError, sqlite3.Error) as error:
            if mend and (isinstance(error, TimeoutError) or is_passing(error)):
                _log.error("state %s: cannot be reached for now: %s", path, self._words(error))
                return
            self._thread.shutdown(wait=False)
            raise StartError(f"state {path}: cannot be opened: {self._words(error)}") from error

    async def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """See SharedState."""
        return await self._ask(lambda ledger: ledger.take(subject, known, unknown))

    async def look(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """See SharedState."""
        return await self._ask(lambda ledger: ledger.look(subject, known, unknown))

    async def refund(self, keys: Sequence[str]) -> None:
        """See SharedState."""
        await self._ask(lambda ledger: ledger.refund(keys))

    async def ended(self, keys: Sequence[str]) -> None:
        """See SharedState. What is under way at other gateways of this machine is not known here."""

    async def succeeded(
        self, subject: str, forget: Sequence[str], refund: Sequence[str], ended: Sequence[str] = ()
    ) -> None:
        """See SharedState."""

        def work(ledger: Ledger) -> None:
            ledger.know(subject)
            ledger.forget(forget)
            ledger.refund(refund)

        await self._ask(work)

    async def first_use(self, key: str, until: datetime, made: datetime | None = None) -> bool:
        """See SharedState."""
        return await self._first(lambda ledger: ledger.first_use(key, until.timestamp(), _seconds(made)))

    async def unused(self, key: str, until: datetime, made: datetime | None = None) -> bool:
        """See SharedState."""
        return await self._first(lambda ledger: ledger.unused(key, _seconds(made)))

    async def _first(self, work: Callable[[Ledger], bool | None]) -> bool:
        first = await self._ask(work)
        if first is None:
            raise StateUnavailable(f"state {self._path}: no room for one more used key")
        return first

    async def counters(self) -> list[Count]:
        """See SharedState."""
        found = await self._ask(lambda ledger: ledger.counters(), self._limits.listing_deadlines)
        return [Count(key, row.n, _moment(row.until), _moment(row.last), row.forget is None) for key, row in found]

    async def clear(self, keys: Sequence[str] | None) -> int:
        """See SharedState."""
        if keys is None:
            return await self._ask(lambda ledger: ledger.forget_all(), self._limits.listing_deadlines)
        return await self._ask(lambda ledger: ledger.forget(keys))

    async def close(self) -> None:
        """See SharedState."""
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)
        await asyncio.wait([closing], timeout=self._limits.deadline)  # if the disk hangs, it closes later

    async def _ask(self, work: Callable[[Ledger], _Answer], deadlines: int = 1) -> _Answer:
        """What `work` returns, in time. Raises StateUnavailable."""
        try:
            async with asyncio.timeout(self._limits.deadline * deadlines):
                return await self._questions.ask(work, self._answer)
        except (OSError, TimeoutError, sqlite3.Error) as error:
            raise StateUnavailable(f"state {self._path}: {self._words(error)}") from error

    # From here on in the thread.

    def _opened_connection(self) -> sqlite3.Connection:
        """The connection; made now if there is none."""
        if self._connection is None:
            self._connection = self._open()
            self._opened = self._identity()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connected(prepare)
        except sqlite3.DatabaseError as error:
            if not self._mend or self._path is None or not is_damage(error):
                raise
            try:
                aside = move_aside(self._path)
            except OSError as failure:
                raise stuck(error, failure) from error
            if aside is None:
                raise
            _log.error(
                "state %s: damaged (%s): moved aside as %s, and begun anew. Counters and known addresses are lost. A "
                "credential of single use is refused unless it is made from now on", self._path, error, aside
            )  # fmt: skip
        return self._connected(partial(prepare, lost=time.time()))

    def _connected(self, make: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
        if self._path is not None:
            # SQLite gives its other files the mode of this one. A file that exists must not be opened here: closing it
            # again would release the locks that this process has on it.
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            self._path or ":memory:", timeout=self._limits.deadline * _PATIENCE, isolation_level=None
        )
        try:
            self._use_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            if self._mend:  # before anything is written to it
                look_for_damage(connection, self._limits.deadline * _LOOKING)
            _transaction(connection, lambda: make(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        until = time.monotonic() + self._limits.deadline * _PATIENCE
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError:
                # SQLite does not wait for the lock here, and another process may be doing the same.
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
        if self._path is not None and mode != "wal":
            raise sqlite3.OperationalError("its file system has no shared memory; use a local one")

    def _close(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()

    def _answer(self, questions: Sequence[Question]) -> None:
        connection = self._opened_connection()
        if self._identity() != self._opened:
            raise sqlite3.OperationalError("the file was replaced while it was in use; restart the gateway")

        def work() -> None:
            ledger = Ledger(connection, self._limits, time.time())
            for question in questions:
                try:
                    question.found = question.work(ledger)
                except StateUnavailable as error:  # an answer too: it has changed nothing
                    question.error = error

        try:
            _transaction(connection, work)
        except sqlite3.DatabaseError as error:
            if self._mend and is_damage(error):  # the next question opens it anew, and looks for the damage
                self._close()
                self._connection = None
            raise

    def _identity(self) -> tuple[int, int] | None:
        """Device and inode: if the file is replaced, other processes count in the new one. Raises OSError."""
        if self._path is None:
            return None
        found = self._path.stat()
        return found.st_dev, found.st_ino

    def _words(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._limits.deadline:g} s"
        return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _transaction(connection: sqlite3.Connection, work: Callable[[], _Answer]) -> _Answer:
    connection.execute("BEGIN IMMEDIATE")
    try:
        answer = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have rolled it back itself: a full disk
            connection.execute("ROLLBACK")
        raise
    return answer


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
