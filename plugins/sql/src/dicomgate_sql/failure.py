"""What went wrong when the database was asked, in words for the operator.

Rule 1: no message holds a value that was asked with: what a database says of one is not repeated.
Rule 2: no message holds the password; it is in no address and no exception.
"""

from __future__ import annotations

import ssl

from sqlalchemy.exc import DBAPIError

from dicomgate import ConfigError

_SAFE_CLASSES = frozenset({"08", "28", "3D", "3F", "42", "53", "57", "58"})
"""SQLSTATE classes whose messages are about the connection, the account or the statement, never about its values:
no connection, no login, no database, no schema, no table or column, no resources, stopped, broken."""

_LONGEST = 200


class CouldNotLookError(Exception):
    """The database, or the machine, did not let us look. The message is fit for an audit."""


def in_words(error: Exception) -> str:
    """What the audit says of this error."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
        return _of_the_driver(error.orig)
    if isinstance(error, ConfigError | ssl.SSLCertVerificationError):
        return str(error)[:_LONGEST]
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__)[:_LONGEST]
    return f"no sensible answer ({type(error).__name__})"  # whatever a driver makes of a server that is none


def _of_the_driver(error: Exception) -> str:
    if type(error).__module__ == "sqlite3":
        return str(error)[:_LONGEST]  # of SQLite's own messages none repeats a value
    state = getattr(error, "sqlstate", None) or ""
    kind = type(error.__cause__ or error).__name__
    if state[:2] in _SAFE_CLASSES:
        return f"{str(error)[:_LONGEST]} ({state})"
    return f"{kind} ({state})" if state else kind
