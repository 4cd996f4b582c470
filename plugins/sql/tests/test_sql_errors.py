from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError

from dicomgate import ConfigError
from dicomgate_sql.database import in_words


class Answered(Exception):
    """As a driver makes it of a server's answer."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class OperationalError(Answered):
    """As libpq's own errors and some of the server's are called."""


def of_the_driver(error: Exception) -> DBAPIError:
    return DBAPIError("SELECT canary", ("canary",), error)


@pytest.mark.parametrize("state", ["08006", "28P01", "3D000", "3F000", "42P01", "42703", "53300", "57P03", "58030"])
def test_what_is_said_of_connection_account_or_statement_is_repeated(state: str) -> None:
    assert in_words(of_the_driver(Answered("relation users", state))) == f"relation users ({state})"


@pytest.mark.parametrize("state", ["22P02", "22021", "23505", "P0001", "XX000", "4", "0"])
def test_what_may_be_said_of_a_value_is_not(state: str) -> None:
    assert in_words(of_the_driver(Answered("canary", state))) == f"Answered ({state})"
    assert in_words(of_the_driver(Answered("canary", None))) == "Answered"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Answered("relation users is gone\nLINE 1: SELECT canary", "42P01"), "relation users is gone (42P01)"),
        (OperationalError("connection failed: refused\n\tIs the server running?", None), "connection failed: refused"),
        (OperationalError("canary", "22P02"), "OperationalError (22P02)"),
        (OperationalError("", None), "OperationalError"),
        (sqlite3.OperationalError("database is locked"), "database is locked"),
    ],
)
def test_the_first_line_of_the_librarys_own_messages_is_repeated(error: Exception, words: str) -> None:
    assert in_words(of_the_driver(error)) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError("users.sqlite: everybody may write this file"), "users.sqlite: everybody may write this file"),
        (OSError(24, "Too many open files"), "[Errno 24] Too many open files"),
        (ConnectionResetError(), "ConnectionResetError"),
        (KeyError("canary"), "no sensible answer (KeyError)"),
        (ValueError("canary"), "no sensible answer (ValueError)"),
    ],
)
def test_of_the_machine(error: Exception, words: str) -> None:
    assert in_words(error) == words


@pytest.mark.parametrize("error", [OSError(1, "x" * 9999), Answered("x" * 9999, "42P01"), ConfigError("x" * 9999)])
def test_messages_are_cut(error: Exception) -> None:
    assert len(in_words(of_the_driver(error) if isinstance(error, Answered) else error)) < 250
