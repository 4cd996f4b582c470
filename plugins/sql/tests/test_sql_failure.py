from __future__ import annotations

import socket
import sqlite3
import ssl

import pytest
from sqlalchemy.exc import DBAPIError

from dicomgate import ConfigError
from dicomgate_sql.failure import in_words


class Answered(Exception):
    """As a driver makes it of a server's answer."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def of_the_driver(error: Exception) -> DBAPIError:
    return DBAPIError("SELECT canary", ("canary",), error)


@pytest.mark.parametrize("state", ["08006", "28P01", "3D000", "3F000", "42P01", "42703", "53300", "57P03", "58030"])
def test_what_is_said_of_connection_account_or_statement_is_repeated(state: str) -> None:
    assert in_words(of_the_driver(Answered("relation users", state))) == f"relation users ({state})"


@pytest.mark.parametrize("state", ["22P02", "22021", "23505", "P0001", "XX000", "4", "0"])
def test_what_may_be_said_of_a_value_is_not(state: str) -> None:
    assert in_words(of_the_driver(Answered("canary", state))) == f"Answered ({state})"
    assert in_words(of_the_driver(Answered("canary", None))) == "Answered"


def test_the_cause_is_named_if_there_is_one() -> None:
    outer = Answered("canary", "22P02")
    outer.__cause__ = ZeroDivisionError("canary")
    assert in_words(of_the_driver(outer)) == "ZeroDivisionError (22P02)"


def test_sqlite_is_repeated() -> None:
    assert in_words(of_the_driver(sqlite3.OperationalError("database is locked"))) == "database is locked"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConfigError("users.sqlite: everybody may write this file"), "users.sqlite: everybody may write this file"),
        (TimeoutError(), "no answer in time"),
        (ConnectionRefusedError(111, "Connect call failed"), "Connect call failed"),
        (ConnectionResetError(), "ConnectionResetError"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLError(1, "[SSL] wrong version number"), "[SSL] wrong version number"),
        (KeyError("canary"), "no sensible answer (KeyError)"),
        (ValueError("canary"), "no sensible answer (ValueError)"),
    ],
)
def test_of_the_machine(error: Exception, words: str) -> None:
    assert in_words(error) == words


@pytest.mark.parametrize("error", [OSError(1, "x" * 9999), Answered("x" * 9999, "42P01"), ConfigError("x" * 9999)])
def test_nobody_says_too_much(error: Exception) -> None:
    assert len(in_words(of_the_driver(error) if isinstance(error, Answered) else error)) < 250
