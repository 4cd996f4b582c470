"""An SQLite file that is locked, gone, replaced, broken or open to everybody."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from dicomgate import Reject
from plugins.sql.tests.backend import ALICE, TIMEOUT, UPDATE, Backend, cheap_hash, in_time, unavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def sqlite_backend(sqlite_backend: Backend) -> Backend:
    sqlite_backend.put("alice", cheap_hash())
    sqlite_backend.options["database_timeout"] = timedelta(seconds=TIMEOUT)
    return sqlite_backend


async def test_an_sqlite_file_that_is_locked(sqlite_backend: Backend) -> None:
    async with sqlite_backend.make() as sql:
        assert await in_time(sql) == ALICE
        with closing(sqlite3.connect(sqlite_backend.options["file"])) as other:
            other.execute("BEGIN EXCLUSIVE")
            await asyncio.gather(*(unavailable(sql, "the database: database is locked") for _ in range(3)))
        assert await in_time(sql) == ALICE


async def test_an_sqlite_file_that_is_gone_replaced_broken_or_open_to_everybody(sqlite_backend: Backend) -> None:
    file = sqlite_backend.options["file"]
    away, empty = file.with_name("away"), file.with_name("empty")
    async with sqlite_backend.make() as sql:
        assert await in_time(sql) == ALICE
        file.rename(away)
        await unavailable(sql, "users.sqlite: cannot be read: No such file or directory")
        assert not file.exists()
        file.write_bytes(b"no database" * 1000)
        await unavailable(sql, "the database: file is not a database")
        file.write_bytes(b"")
        await unavailable(sql, "the database: no such table: users")
        away.rename(file)
        assert await in_time(sql) == ALICE
        file.chmod(0o666)
        await unavailable(sql, "everybody may write this file; chmod o-w")
        file.chmod(0o600)
        assert await in_time(sql) == ALICE
        empty.write_bytes(file.read_bytes())
        with closing(sqlite3.connect(empty)) as connection, connection:
            connection.execute("DELETE FROM users")
        empty.rename(file)
        assert await in_time(sql) == Reject("unknown user")


@pytest.mark.parametrize("journal", ["delete", "wal"])
async def test_an_sqlite_file_is_opened_for_reading_alone_unless_there_is_an_update(
    journal: str, sqlite_backend: Backend
) -> None:
    file = sqlite_backend.options["file"]
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")

    async def mode(**options: Any) -> str:
        async with sqlite_backend.make(**options) as sql:
            assert await in_time(sql) == ALICE
            return str(sql._connection.url.query["mode"])

    assert await mode() == "ro"
    assert await mode(update=UPDATE) == "rw"


async def test_no_thread_and_no_connection_is_left(sqlite_backend: Backend) -> None:
    before = set(threading.enumerate())
    async with sqlite_backend.make() as sql:
        assert await asyncio.gather(*(in_time(sql) for _ in range(10))) == [ALICE] * 10
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive(), thread
