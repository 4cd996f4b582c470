"""The tables of the SQLite state: counters, known subjects, used keys.

`redis.lua` does the same in a Redis.

- `counter`: the attempts of each counter; `before` is what `until` was before the last attempt, `forget` when the
  counter will be forgotten, NULL if it is locked
- `known`: the subjects that have logged in, and until when they are remembered
- `used`: the keys that are used up, and until when they are kept
- `lost`: when a damaged file was replaced by this one; no row if that never happened
- `size`: how many rows each of these tables has; counting a million rows would take longer than the transaction
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ..errors import StateUnavailable
from .protocol import Backoff, Grant, Limits

_DAY = 86_400.0
_VERSION = 1
_SCHEMA = (
    """CREATE TABLE counter (key TEXT PRIMARY KEY, n INTEGER NOT NULL, until REAL NOT NULL, before REAL NOT NULL,
                             last REAL NOT NULL, forget REAL) WITHOUT ROWID""",
    "CREATE INDEX counter_next_to_go ON counter (n, last)",
    "CREATE INDEX counter_forget ON counter (forget)",
    "CREATE TABLE known (key TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX known_until ON known (until)",
    "CREATE TABLE used (key TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX used_until ON used (until)",
    "CREATE TABLE size (of TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
    *(
        statement.format(table)
        for table in ("counter", "known", "used")
        for statement in (
            "INSERT INTO size VALUES ('{0}', 0)",
            "CREATE TRIGGER {0}_in AFTER INSERT ON {0} BEGIN UPDATE size SET n = n + 1 WHERE of = '{0}'; END",
            "CREATE TRIGGER {0}_out AFTER DELETE ON {0} BEGIN UPDATE size SET n = n - 1 WHERE of = '{0}'; END",
        )
    ),
)


class Row(NamedTuple):
    """The state of one counter; times in seconds of the epoch."""

    n: int
    until: float
    before: float
    last: float
    forget: float | None


_NO_ROW = Row(0, 0.0, 0.0, 0.0, None)


def prepare(connection: sqlite3.Connection, lost: float | None = None) -> None:
    """Create the tables if they do not exist. `lost`: what was used before then is not known. Raises sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in _SCHEMA:
            connection.execute(statement)
    elif version != _VERSION:
        raise sqlite3.DatabaseError(f"its tables have version {version}, this release needs {_VERSION}")
    connection.execute("CREATE TABLE IF NOT EXISTS lost (at REAL NOT NULL)")  # version 1 began without it
    if lost is not None:
        connection.execute("INSERT INTO lost VALUES (?)", (lost,))
    # Even if it is set already: a file that cannot be written must be found now.
    connection.execute(f"PRAGMA user_version = {_VERSION}")


class Ledger:
    """The tables at one moment, `now`: the methods of SharedState, one or more of them within one transaction."""

    def __init__(self, connection: sqlite3.Connection, limits: Limits, now: float) -> None:
        self._do = connection.execute
        self._limits = limits
        self._now = now
        self._swept: set[str] = set()

    def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """Count an attempt, or say which counter holds it."""
        self._sweep("counter", "forget")
        grant, rows = self._judged(subject, known, unknown)
        if grant.held:
            for backoff, row in rows:
                if row != self._row(backoff.key):
                    self._write(backoff.key, row)
            return grant
        for backoff, row in rows:
            n = row.n + 1
            ended = backoff.most is not None and n >= backoff.most
            forget = None if ended else self._now + self._limits.forget_counter
            self._write(backoff.key, Row(n, self._now + backoff.wait(n), row.until, self._now, forget))
        self._make_room(backoff.key for backoff, _ in rows)
        return grant

    def look(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        """What `take` would answer."""
        return self._judged(subject, known, unknown)[0]

    def _judged(
        self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]
    ) -> tuple[Grant, list[tuple[Backoff, Row]]]:
        """Whether an attempt may be verified, and the rows that say so."""
        is_known = self._is_kept("known", subject)
        rows = [(backoff, self._as_counted(backoff)) for backoff in (known if is_known else unknown)]
        wait, held = 0.0, ""
        for backoff, row in rows:
            its_wait = math.inf if backoff.most is not None and row.n >= backoff.most else row.until - self._now
            if its_wait > wait:
                wait, held = its_wait, backoff.key
        return Grant(is_known, held, None if wait == math.inf else wait), rows

    def refund(self, keys: Iterable[str]) -> None:
        """One attempt less for each."""
        for key in keys:
            row = self._row(key)
            if row.n > 1:
                forget = row.last + self._limits.forget_counter
                self._write(key, row._replace(n=row.n - 1, until=row.before, forget=forget))
            else:
                self._do("DELETE FROM counter WHERE key = ?", (key,))

    def know(self, subject: str) -> None:
        """The subject has logged in now. Beyond the limit the one whose login is oldest is forgotten."""
        self._sweep("known", "until")
        self._keep("known", subject, self._now + self._limits.forget_known)
        if (excess := self._size("known") - self._limits.known) > 0:
            self._do("DELETE FROM known WHERE key IN (SELECT key FROM known ORDER BY until, key LIMIT ?)", (excess,))

    def first_use(self, key: str, until: float, made: float | None = None) -> bool | None:
        """Use the key: True if it was not used before; None if there is no room to remember it.

        Raises StateUnavailable as `unused` does.
        """
        self._sweep("used", "until")
        if first := self.unused(key, made):
            self._keep("used", key, max(until, self._now) + self._limits.skew)
        return first

    def unused(self, key: str, made: float | None = None) -> bool | None:
        """True if the key was not used before; None if there is no room to remember it.

        Raises StateUnavailable for a credential that may have been used before the state was lost: one that was not
        made since then, by its issuer's clock; and one of an unknown age, as long as the loss is younger than a day.
        """
        # In one statement: for each, the thread gives Python's lock away and waits for it to come back.
        lost, kept_until, size, swept_next = self._do(
            "SELECT (SELECT max(at) FROM lost), (SELECT until FROM used WHERE key = ?),"
            " (SELECT n FROM size WHERE of = 'used'),"
            " (SELECT count(*) FROM (SELECT 1 FROM used WHERE until <= ? LIMIT ?))",
            (key, self._now, self._limits.sweep),
        ).fetchone()
        if lost is not None and (self._now - _DAY if made is None else made - self._limits.skew) < lost:
            raise StateUnavailable(
                f"what was used before {_shown(lost)} is not known, because the state was damaged then: a credential "
                f"must be made after {_shown(lost + self._limits.skew)}"
            )
        if kept_until is not None and kept_until > self._now:
            return False
        return True if size - swept_next < self._limits.used else None

    def counters(self) -> list[tuple[str, Row]]:
        """All counters, most attempts first."""
        found = self._do(
            "SELECT key, n, until, before, last, forget FROM counter"
            " WHERE forget IS NULL OR forget > ? ORDER BY n DESC, last DESC, key DESC",
            (self._now,),
        )
        return [(key, Row(*row)) for key, *row in found]

    def forget(self, keys: Iterable[str]) -> int:
        """Forget these counters; how many there were."""
        return sum(self._do("DELETE FROM counter WHERE key = ?", (key,)).rowcount for key in keys)

    def forget_all(self) -> int:
        """Forget all counters; how many there were."""
        return self._do("DELETE FROM counter").rowcount

    def _as_counted(self, backoff: Backoff) -> Row:
        """Its row. No wait is longer than so many attempts make it, even if the clock was ahead when it began."""
        row = self._row(backoff.key)
        return row._replace(until=min(row.until, self._now + backoff.wait(row.n)))

    def _row(self, key: str) -> Row:
        found = self._do("SELECT n, until, before, last, forget FROM counter WHERE key = ?", (key,)).fetchone()
        if found is None or (found[4] is not None and found[4] <= self._now):
            return _NO_ROW
        return Row(*found)

    def _write(self, key: str, row: Row) -> None:
        self._do(
            "INSERT INTO counter VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET n = excluded.n,"
            " until = excluded.until, before = excluded.before, last = excluded.last, forget = excluded.forget",
            (key, *row),
        )

    def _make_room(self, taken: Iterable[str]) -> None:
        """Drop the counters with the fewest attempts, the oldest first, but none that was counted just now."""
        if (excess := self._size("counter") - self._limits.counters) <= 0:
            return
        spared = list(taken)
        marks = ", ".join("?" * len(spared))
        self._do(
            f"DELETE FROM counter WHERE key IN (SELECT key FROM counter WHERE key NOT IN ({marks})"  # noqa: S608
            " ORDER BY n, last, key LIMIT ?)",
            (*spared, excess),
        )

    # Below, tables and columns are named by this file alone; all that others wrote is a parameter.

    def _is_kept(self, table: str, key: str) -> bool:
        found = self._do(f"SELECT until FROM {table} WHERE key = ?", (key,)).fetchone()  # noqa: S608
        return found is not None and found[0] > self._now

    def _keep(self, table: str, key: str, until: float) -> None:
        self._do(
            f"INSERT INTO {table} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET until = excluded.until",  # noqa: S608
            (key, until),
        )

    def _size(self, table: str) -> int:
        (size,) = self._do("SELECT n FROM size WHERE of = ?", (table,)).fetchone()
        return int(size)

    def _sweep(self, table: str, column: str) -> None:
        """Drop expired rows: a few in each transaction, so that none is long."""
        if table in self._swept:
            return
        self._swept.add(table)
        self._do(
            f"DELETE FROM {table} WHERE key IN"  # noqa: S608
            f" (SELECT key FROM {table} WHERE {column} <= ? ORDER BY {column} LIMIT ?)",
            (self._now, self._limits.sweep),
        )


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
