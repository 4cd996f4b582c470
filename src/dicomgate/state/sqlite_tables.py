"""What is counted, known and used, as tables of SQLite.

- `lever`: what each lever has counted; `before` is what `until` was before the last attempt, `forget` when the lever
  will be forgotten, NULL where it has reached its `most`
- `pair`: which pairs are known, and until when
- `used`: which keys are used up, and until when they are kept
- `size`: how many rows each of them has: to count a million at each turn would take longer than the turn
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .protocol import Backoff, Grant
from .retention import Limits

_VERSION = 1
_SCHEMA = (
    """CREATE TABLE lever (key TEXT PRIMARY KEY, n INTEGER NOT NULL, until REAL NOT NULL, before REAL NOT NULL,
                           last REAL NOT NULL, forget REAL) WITHOUT ROWID""",
    "CREATE INDEX lever_next_to_go ON lever (n, last)",
    "CREATE INDEX lever_forget ON lever (forget)",
    "CREATE TABLE pair (key TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX pair_until ON pair (until)",
    "CREATE TABLE used (key TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX used_until ON used (until)",
    "CREATE TABLE size (of TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
    *(
        statement.format(table)
        for table in ("lever", "pair", "used")
        for statement in (
            "INSERT INTO size VALUES ('{0}', 0)",
            "CREATE TRIGGER {0}_in AFTER INSERT ON {0} BEGIN UPDATE size SET n = n + 1 WHERE of = '{0}'; END",
            "CREATE TRIGGER {0}_out AFTER DELETE ON {0} BEGIN UPDATE size SET n = n - 1 WHERE of = '{0}'; END",
        )
    ),
)


class Row(NamedTuple):
    """What a lever has counted; times in seconds of the epoch."""

    n: int
    until: float
    before: float
    last: float
    forget: float | None


_NO_ROW = Row(0, 0.0, 0.0, 0.0, None)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables if they are not there. Raises sqlite3.Error."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in _SCHEMA:
            connection.execute(statement)
    elif version != _VERSION:
        raise sqlite3.DatabaseError(f"version {version} of its tables is not ours, {_VERSION}")
    # Also where it is so already: a file that may not be written is to be found now.
    connection.execute(f"PRAGMA user_version = {_VERSION}")


class Ledger:
    """The tables, at one moment: `now`."""

    def __init__(self, connection: sqlite3.Connection, limits: Limits, now: float) -> None:
        self._do = connection.execute
        self._limits = limits
        self._now = now

    def take(self, pair: str, if_known: Sequence[Backoff], otherwise: Sequence[Backoff]) -> Grant:
        """Count an attempt, or say which lever holds it."""
        self._sweep("lever", "forget")
        known = self._is_kept("pair", pair)
        levers = if_known if known else otherwise
        rows = [self._at_most_longest(lever) for lever in levers]
        wait, held = 0.0, ""
        for lever, row in zip(levers, rows, strict=True):
            its_wait = math.inf if lever.most is not None and row.n >= lever.most else row.until - self._now
            if its_wait > wait:
                wait, held = its_wait, lever.key
        if held:
            return Grant(known, held, None if wait == math.inf else wait)
        for lever, row in zip(levers, rows, strict=True):
            n = row.n + 1
            ended = lever.most is not None and n >= lever.most
            forget = None if ended else self._now + self._limits.forget_lever
            self._write(lever.key, Row(n, self._now + lever.wait(n), row.until, self._now, forget))
        self._make_room(lever.key for lever in levers)
        return Grant(known)

    def refund(self, keys: Iterable[str]) -> None:
        """One attempt less for each."""
        for key in keys:
            row = self._row(key)
            if row.n > 1:
                forget = row.last + self._limits.forget_lever
                self._write(key, row._replace(n=row.n - 1, until=row.before, forget=forget))
            else:
                self._do("DELETE FROM lever WHERE key = ?", (key,))

    def know(self, pair: str) -> None:
        """The pair got in now; beyond the limit the one that got in first is known no more."""
        self._sweep("pair", "until")
        self._keep("pair", pair, self._now + self._limits.forget_pair)
        if (excess := self._size("pair") - self._limits.pairs) > 0:
            self._do("DELETE FROM pair WHERE key IN (SELECT key FROM pair ORDER BY until, key LIMIT ?)", (excess,))

    def first_use(self, key: str, until: float) -> bool | None:
        """Whether the key was not used up before; None where there is no room to remember it."""
        self._sweep("used", "until")
        if self._is_kept("used", key):
            return False
        if self._size("used") >= self._limits.used:
            return None
        self._keep("used", key, max(until, self._now) + self._limits.skew)
        return True

    def levers(self) -> list[tuple[str, Row]]:
        """All that counts something, most attempts first."""
        found = self._do(
            "SELECT key, n, until, before, last, forget FROM lever"
            " WHERE forget IS NULL OR forget > ? ORDER BY n DESC, last DESC, key DESC",
            (self._now,),
        )
        return [(key, Row(*row)) for key, *row in found]

    def forget(self, keys: Iterable[str]) -> int:
        """Forget these levers; how many there were."""
        return sum(self._do("DELETE FROM lever WHERE key = ?", (key,)).rowcount for key in keys)

    def forget_all(self) -> int:
        """Forget all levers; how many there were."""
        return self._do("DELETE FROM lever").rowcount

    def _at_most_longest(self, lever: Backoff) -> Row:
        """Its row. No wait is longer than the longest, even if the clock was wrong when it began."""
        row = self._row(lever.key)
        if row.until > (latest := self._now + lever.longest):
            row = row._replace(until=latest)
            self._write(lever.key, row)
        return row

    def _row(self, key: str) -> Row:
        found = self._do("SELECT n, until, before, last, forget FROM lever WHERE key = ?", (key,)).fetchone()
        if found is None or (found[4] is not None and found[4] <= self._now):
            return _NO_ROW
        return Row(*found)

    def _write(self, key: str, row: Row) -> None:
        self._do(
            "INSERT INTO lever VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET n = excluded.n,"
            " until = excluded.until, before = excluded.before, last = excluded.last, forget = excluded.forget",
            (key, *row),
        )

    def _make_room(self, taken: Iterable[str]) -> None:
        """Drop those with the fewest attempts and of them the oldest, but none that was counted just now."""
        if (excess := self._size("lever") - self._limits.levers) <= 0:
            return
        spared = list(taken)
        marks = ", ".join("?" * len(spared))
        self._do(
            f"DELETE FROM lever WHERE key IN (SELECT key FROM lever WHERE key NOT IN ({marks})"  # noqa: S608
            " ORDER BY n, last, key LIMIT ?)",
            (*spared, excess),
        )

    # Below, names of tables and columns are ours; what others wrote is always a parameter.

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
        """Drop what is over: a few rows at each turn, so that no turn is long."""
        self._do(
            f"DELETE FROM {table} WHERE key IN"  # noqa: S608
            f" (SELECT key FROM {table} WHERE {column} <= ? ORDER BY {column} LIMIT ?)",
            (self._now, self._limits.sweep),
        )
