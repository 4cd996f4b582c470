"""The database, asked with a deadline and a bound.

Rule 1: an answer comes within the timeout, whatever the server does: down, hung, slow, or no database at all.
Rule 2: a client that hangs up cancels nothing: it costs the client nothing, and a new connection costs the server much.
Rule 3: a connection that failed is not used again, and the next question opens another: no restart is needed.
Rule 4: no message contains a value of the question, which a database's message about a value quotes, or the password.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import TextClause, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from dicomgate import ConfigError

from .connection import Connection, WatchedFile

_WAITING_FOR_EACH_CONNECTION = 100
_CLOSING = 1.0
"""Seconds for the questions that are still being asked when the database is closed."""

_SAFE_CLASSES = frozenset({"08", "28", "3D", "3F", "42", "53", "57", "58"})
"""SQLSTATE classes whose messages are about the connection, the account or the statement, never about its values:
no connection, no login, no database, no schema, no table or column, no resources, stopped, broken."""

_LONGEST = 200


class UnavailableError(Exception):
    """The database, or this machine, gives no answer now. The message is fit for the audit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows, or the number of rows that were changed; the database took so many `seconds`."""

    columns: Sequence[str] = ()
    rows: Sequence[Mapping[str, object]] = ()
    changed: int = 0
    seconds: float = 0.0


class Database:
    """At most `connections` connections, and `timeout` seconds for each answer. Use it in one event loop; close it."""

    def __init__(self, connection: Connection, *, connections: int, timeout: float) -> None:
        self._timeout = timeout
        self._free = asyncio.Semaphore(connections)
        self._most = connections * _WAITING_FOR_EACH_CONNECTION
        self._asking: set[asyncio.Task[Answer]] = set()
        options = {
            "connect_args": dict(connection.arguments),
            "isolation_level": "AUTOCOMMIT",  # one round trip for one statement
            "hide_parameters": True,
            **connection.engine,
        }
        self._watched = connection.watched
        if self._watched is not None:
            self._file = create_engine(connection.url, pool_size=connections, **options)
            self._threads = ThreadPoolExecutor(connections, "sql")
            return
        self._server = create_async_engine(connection.url, **options)

        @event.listens_for(self._server.sync_engine, "do_connect")
        def before(dialect: object, record: object, arguments: object, options: dict[str, Any]) -> None:
            options.update(connection.for_each())

    async def ask(self, statement: TextClause, **parameters: str) -> Answer:
        """Execute one statement. Raises UnavailableError, within the timeout."""
        if len(self._asking) >= self._most:
            raise UnavailableError(f"{len(self._asking)} questions are already waiting for the database")
        task = asyncio.create_task(self._execute(statement, parameters))
        self._asking.add(task)
        # To give up a connection may take longer than the timeout: the answer does not wait for that.
        timer = asyncio.get_running_loop().call_later(self._timeout, task.cancel)
        task.add_done_callback(lambda _: timer.cancel())
        task.add_done_callback(self._over)
        await asyncio.wait((task,), timeout=self._timeout)
        if not task.done() or task.cancelled():
            raise UnavailableError(f"the database: no answer within {self._timeout:g} s")
        return task.result()

    async def close(self) -> None:
        """Close every connection, also those to a server that does not answer."""
        for _ in range(2):  # the first cancel lets the driver cancel the statement, the second ends the connection
            asking = self._asking.copy()
            for task in asking:
                task.cancel()
            if asking:
                await asyncio.wait(asking, timeout=_CLOSING)
        if self._watched is None:
            await self._server.dispose()
        else:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._file.dispose()

    async def _execute(self, statement: TextClause, parameters: Mapping[str, str]) -> Answer:
        try:
            async with self._free:
                if self._watched is not None:
                    loop = asyncio.get_running_loop()
                    return await loop.run_in_executor(
                        self._threads, self._ask_file, self._watched, statement, parameters
                    )
                async with self._server.connect() as connection:
                    return await connection.run_sync(_answer, statement, parameters)
        except Exception as error:  # noqa: BLE001 - where a server is no database, drivers raise anything
            said = in_words(error)
        raise UnavailableError(f"the database: {said}")  # outside of the block: its context would tell more

    def _ask_file(self, file: WatchedFile, statement: TextClause, parameters: Mapping[str, str]) -> Answer:
        file.check(self._file.dispose)
        with self._file.connect() as connection:
            return _answer(connection, statement, parameters)

    def _over(self, task: asyncio.Task[Answer]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio logs that it never was


def _answer(connection: sqlalchemy.Connection, statement: TextClause, parameters: Mapping[str, str]) -> Answer:
    began = time.monotonic()
    result = connection.execute(statement, parameters)
    if not result.returns_rows:
        return Answer(changed=result.rowcount)
    columns = tuple(result.keys())
    rows = [dict(zip(columns, row, strict=True)) for row in result.all()]
    return Answer(columns, rows, seconds=time.monotonic() - began)


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
