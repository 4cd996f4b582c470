"""What goes wrong when the database is asked, in words for the operator.

Rule 1: no message contains a value of the question. A database's message about a value quotes it, so it is not
        repeated.
Rule 2: no message contains the password. It is in no address and in no exception.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from dicomgate import ConfigError

_SAFE_CLASSES = frozenset({"08", "28", "3D", "3F", "42", "53", "57", "58"})
"""SQLSTATE classes whose messages are about the connection, the account or the statement, never about its values:
no connection, no login, no database, no schema, no table or column, no resources, stopped, broken."""

_LONGEST = 200


class UnavailableError(Exception):
    """The database, or this machine, gives no answer now. The message is fit for the audit."""


def in_words(error: Exception) -> str:
    """What the audit says of this error: one line of at most 200 characters, and its SQLSTATE."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
        return _of_driver(error.orig)
    if isinstance(error, ConfigError | OSError):
        return (str(error) or type(error).__name__)[:_LONGEST]
    return f"no sensible answer ({type(error).__name__})"  # drivers raise anything where a server is no database


def _of_driver(error: Exception) -> str:
    said = str(error).strip().partition("\n")[0][:_LONGEST]  # what follows quotes the statement
    state = getattr(error, "sqlstate", None) or ""
    # SQLite's own messages never repeat a value, nor do those of libpq, which have no SQLSTATE.
    by_library = type(error).__module__ == "sqlite3" or (type(error).__name__ == "OperationalError" and not state)
    if said and by_library:
        return said
    if state[:2] in _SAFE_CLASSES:
        return f"{said} ({state})"
    return f"{type(error).__name__} ({state})" if state else type(error).__name__
