"""A PostgreSQL server that is down, restarted, hung, slow, too busy or changed."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
from datetime import timedelta
from typing import Any

import pytest

from dicomgate import Accept, Reject, Unavailable
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, wait_until
from dicomgate.testing.peers.postgresql import Postgresql
from dicomgate.testing.peers.silence import Names, silent
from plugins.sql.tests.backend import (
    ALICE,
    GOOD,
    SLACK,
    TIMEOUT,
    Backend,
    answers,
    cheap_hash,
    in_time,
    recovered,
    unavailable,
)

__all__ = ["names"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def postgresql_backend(postgresql_backend: Backend) -> Backend:
    postgresql_backend.put("alice", cheap_hash())
    postgresql_backend.options["database_timeout"] = timedelta(seconds=TIMEOUT)
    return postgresql_backend


async def test_down_and_up_again(postgresql_backend: Backend, postgresql: Postgresql) -> None:
    async with postgresql_backend.make() as sql:
        assert await in_time(sql) == ALICE
        postgresql.stop()
        await unavailable(sql, "the database: connection failed: ")
        postgresql.start()
        await recovered(sql)


@pytest.mark.parametrize("silence", ["TCP", "TLS", "the first of two hosts"])
async def test_an_address_or_a_host_that_is_silent_holds_up_no_login(
    silence: str,
    postgresql_backend: Backend,
    postgresql: Postgresql,
    certificates: Certificates,
    names: Names,
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = postgresql.address[1]
    names.addresses |= {"localhost": ["127.0.0.3", HOST], "db.test": ["127.0.0.3"]}
    url = f"postgresql://gate@localhost:{port}/users"
    options: dict[str, Any] = {"ca": certificates.ca}
    if silence == "the first of two hosts":
        url, options = f"postgresql://gate@/users?host=db.test:{port}&host={HOST}:{port}", {"cleartext": True}
    mute = socket.create_server(("127.0.0.3", port)) if silence == "TLS" else silent("127.0.0.3", port)
    with mute:
        async with postgresql_backend.make(url=url, **options) as sql:
            for _ in range(2):
                assert await in_time(sql) == ALICE
    assert caplog.text.count(f"127.0.0.3:{port}: no answer within 0.") == 1


async def test_addresses_that_are_all_silent_are_named(postgresql_backend: Backend, names: Names) -> None:
    with silent("127.0.0.3") as (_, port), silent("127.0.0.4", port):
        names.addresses["db.test"] = ["127.0.0.3", "127.0.0.4"]
        async with postgresql_backend.make(url=f"postgresql://gate@db.test:{port}/users", cleartext=True) as sql:
            await unavailable(sql, f"127.0.0.4:{port}: no answer within ")


async def test_restarted_between_two_logins(postgresql_backend: Backend, postgresql: Postgresql) -> None:
    """The first login after the restart finds that its connections are dead, and opens another."""
    async with postgresql_backend.make() as sql:
        assert await asyncio.gather(*(in_time(sql) for _ in range(4))) == [ALICE] * 4
        postgresql.stop()
        postgresql.start()
        assert await in_time(sql) == ALICE


async def test_hung(postgresql_backend: Backend, postgresql: Postgresql) -> None:
    async with postgresql_backend.make(connections=2) as sql:
        assert await asyncio.gather(*(in_time(sql) for _ in range(4))) == [ALICE] * 4
        postgresql.hang()
        for _ in range(2):
            await asyncio.gather(*(unavailable(sql, "no answer within 1.5 s") for _ in range(6)))
        postgresql.go_on()
        await recovered(sql)
        assert postgresql.connections() <= 2
        assert await asyncio.gather(*(in_time(sql) for _ in range(4))) == [ALICE] * 4


async def test_hung_from_the_start_to_the_end(
    postgresql_backend: Backend, postgresql: Postgresql, caplog: pytest.LogCaptureFixture
) -> None:
    postgresql.hang()
    tasks = asyncio.all_tasks()
    start = time.monotonic()
    async with postgresql_backend.make() as sql:
        assert time.monotonic() - start < TIMEOUT + SLACK
        await unavailable(sql, "no answer")
        start = time.monotonic()
    assert time.monotonic() - start < TIMEOUT + 2 + SLACK
    assert asyncio.all_tasks() == tasks
    where = f"{HOST}:{postgresql.address[1]}"
    assert f"sql: all logins fail for now: the database: connection failed: {where}: no answer within 1." in caplog.text


@pytest.mark.parametrize("asked", [0, 1])
async def test_it_may_be_left_while_connections_hang(
    asked: int, postgresql_backend: Backend, postgresql: Postgresql
) -> None:
    """Idle ones, and one whose statement the driver still tries to cancel."""
    tasks = asyncio.all_tasks()
    async with postgresql_backend.make() as sql:
        assert await asyncio.gather(*(in_time(sql) for _ in range(8))) == [ALICE] * 8
        postgresql.hang()
        for _ in range(asked):
            await unavailable(sql, "no answer within 1.5 s")
        start = time.monotonic()
    assert time.monotonic() - start < 2 + SLACK
    assert asyncio.all_tasks() == tasks
    gc.collect()  # a connection that was not closed would complain


async def test_slow(postgresql_backend: Backend, postgresql: Postgresql) -> None:
    select = "SELECT hash, name FROM users, pg_sleep({}) WHERE name = :name"
    for seconds in (0.05, 30.0):
        async with postgresql_backend.make(select=select.format(seconds)) as sql:
            if seconds < TIMEOUT:
                assert await in_time(sql) == ALICE
            else:
                await unavailable(sql, "no answer within 1.5 s")
                # The server is told to stop the statement, which nobody waits for any longer.
                await asyncio.to_thread(wait_until, lambda: not postgresql.connections(), "the end of the statement")


async def test_too_many_questions_for_a_database_that_hangs(
    postgresql_backend: Backend, postgresql: Postgresql
) -> None:
    async with postgresql_backend.make(connections=1) as sql:
        assert await in_time(sql) == ALICE
        postgresql.hang()
        decisions = await asyncio.gather(*(in_time(sql) for _ in range(108)))
        reasons = [decision.reason for decision in decisions if isinstance(decision, Unavailable)]
        assert reasons.count("100 questions are already waiting for the database") == 8
        assert len(reasons) == 108
        postgresql.go_on()
        await recovered(sql)


async def test_at_most_so_many_connections(postgresql_backend: Backend, postgresql: Postgresql) -> None:
    async with postgresql_backend.make(connections=3, database_timeout=timedelta(seconds=20)) as sql:
        assert await asyncio.gather(*(sql.authenticate(GOOD) for _ in range(12))) == [ALICE] * 12
        assert postgresql.connections() <= 3
    wait_until(lambda: not postgresql.connections(), "the end of all connections")


async def test_a_client_that_hangs_up_costs_no_connection(postgresql_backend: Backend) -> None:
    """The server's process for the connection is the same afterwards."""
    select = "SELECT hash, pg_backend_pid()::text AS name FROM users, pg_sleep(0.2) WHERE users.name = :name"

    async with postgresql_backend.make(select=select, connections=1) as sql:
        before = await in_time(sql)
        assert isinstance(before, Accept)
        abandoned = asyncio.create_task(sql.authenticate(GOOD))
        await asyncio.sleep(0.05)
        abandoned.cancel()
        await asyncio.wait((abandoned,))
        assert await in_time(sql) == before


async def test_a_failure_after_the_client_hung_up_is_not_logged(
    postgresql_backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "asyncio")
    fails = "CASE WHEN CAST(pg_sleep(0.1) AS text) IS NOT NULL THEN 1 / (length(name) - length('alice')) END"
    select = f"SELECT hash FROM users WHERE name = :name AND {fails} = 1"  # noqa: S608
    async with postgresql_backend.make(select=select) as sql:
        abandoned = asyncio.create_task(sql.authenticate(GOOD))
        await asyncio.sleep(0.05)
        abandoned.cancel()
        await asyncio.wait((abandoned,))
        await unavailable(sql, "the database: DivisionByZero (22012)")
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio" and record.levelno > logging.INFO] == []


async def test_a_wrong_password_and_then_the_right_one(postgresql_backend: Backend) -> None:
    file = postgresql_backend.options["password_file"]
    right = file.read_text()
    file.write_text("canary-wrong\n")
    async with postgresql_backend.make() as sql:
        await unavailable(sql, 'password authentication failed for user "gate"')
        file.write_text(right)
        assert await in_time(sql) == ALICE
    file.unlink()
    async with sql:
        await unavailable(sql, "database.password: cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("broken", "mended", "why"),
    [
        ("ALTER TABLE users RENAME TO others", "ALTER TABLE others RENAME TO users", 'relation "users" does not exist'),
        ("ALTER TABLE users RENAME hash TO h", "ALTER TABLE users RENAME h TO hash", 'column "hash" does not exist'),
        ("REVOKE SELECT ON users FROM gate", "GRANT SELECT ON users TO gate", "permission denied for table users"),
    ],
)
async def test_a_table_that_is_missing_or_changed(
    broken: str, mended: str, why: str, postgresql_backend: Backend
) -> None:
    async with postgresql_backend.make() as sql:
        assert await in_time(sql) == ALICE
        postgresql_backend.execute(broken)
        await unavailable(sql, why)
        postgresql_backend.execute(mended)
        assert await in_time(sql) == ALICE


async def test_a_column_of_another_type_counts_at_once(postgresql_backend: Backend) -> None:
    """A statement that was prepared on the server would fail once: "cached plan must not change result type"."""
    async with postgresql_backend.make(connections=1) as sql:
        for kind in ("varchar(200)", "text"):
            assert [await in_time(sql) for _ in range(7)] == [ALICE] * 7
            postgresql_backend.execute(f"ALTER TABLE users ALTER COLUMN hash TYPE {kind}")
        assert await in_time(sql) == ALICE


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
async def test_a_date_that_python_lacks_disables_a_user_all_the_same(kind: str, postgresql_backend: Backend) -> None:
    select = "SELECT hash, CAST({} AS " + kind + ") AS disabled FROM users WHERE name = :name"  # noqa: S608
    for date in ("'infinity'", "'0044-03-15 BC'", "'2026-01-31'"):
        decisions = await answers(postgresql_backend.make(select=select.format(date)), ("alice", b"secret"))
        assert decisions == [Reject("the user cannot log in: disabled")]
    assert await answers(postgresql_backend.make(select=select.format("NULL")), ("alice", b"secret")) == [ALICE]


async def test_a_reason_holds_no_value(postgresql_backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """A message of the database about a value quotes the value."""
    caplog.set_level(logging.DEBUG, "dicomgate_sql")
    by_length = "SELECT hash FROM users WHERE length(name) = CAST({} AS integer)"

    for parameter in ("CAST(:name AS text)", ":name"):
        sql = postgresql_backend.make(select=by_length.format(parameter))
        (decision,) = await answers(sql, ("canary-name", b"secret"))
        assert decision == Unavailable("the database: InvalidTextRepresentation (22P02)")
    assert "canary" not in "".join(record.getMessage() for record in caplog.records if "sql" in record.name)
