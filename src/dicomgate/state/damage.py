"""A damaged file of the SQLite state: found when the gateway opens it, and moved aside.

Rule 1: a damaged state must not end every start: a running gateway survives it as well. What was counted is lost.
Rule 2: no file is removed, and none is moved that may be something else: a `path` may be wrong.
Rule 3: what was used before the loss is not known any more. So from then on credentials of single use count only if
        they were made after it (`Ledger.first_use`).
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

_MAGIC = b"SQLite format 3\0"
"""https://www.sqlite.org/fileformat2.html, 1.3."""
_NAMED_SO = (".sqlite", ".sqlite3", ".db")
_OPCODES = 10_000  # of SQLite's virtual machine, between two looks at the clock


def is_damage(error: BaseException) -> bool:
    """True if the file is damaged, and not only out of reach: locked, full, not ours to write."""
    return _primary(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_passing(error: BaseException) -> bool:
    """True for what passes without a change of the file or the configuration: a lock, a full disk, a failing disk."""
    return _primary(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def look_for_damage(connection: sqlite3.Connection, seconds: float) -> None:
    """Read the pages of the file, as many as this time allows. Raises sqlite3.DatabaseError for a damaged one."""
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, _OPCODES)
    found = "ok"
    try:
        with suppress(sqlite3.OperationalError):  # the time is over
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    finally:
        connection.set_progress_handler(None, 0)
    if found != "ok":
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def move_aside(path: Path) -> Path | None:
    """Rename the file and its companions; the new name, or None if it may be something else. Raises OSError."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC and path.suffix not in _NAMED_SO:
            return None
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    # The companions first: SQLite would take them for those of the new file.
    for companion in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            Path(f"{path}{companion}").rename(f"{aside}{companion}")
    return aside


def stuck(damage: sqlite3.DatabaseError, failure: OSError) -> sqlite3.OperationalError:
    """What to raise where a damaged file cannot be moved aside: it passes as soon as the operator does that."""
    error = sqlite3.OperationalError(f"{damage}, and it cannot be moved aside: {failure.strerror}; move it yourself")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


def _primary(error: BaseException) -> int:
    """The primary result code of SQLite; 0 for an error that is not its own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def verdict_on(path: Path, seconds: float = 2.0) -> str:
    """Whether the file is whole, in words, as far as it can be read in this time. Nothing is changed."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=seconds)
        try:
            look_for_damage(connection, seconds)
        finally:
            connection.close()
    except sqlite3.Error as error:
        return f"{'damaged' if is_damage(error) else 'cannot be read'}: {error}"
    return "whole"
