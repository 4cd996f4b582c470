from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dicomgate.testing.fixtures import gateway  # noqa: F401 (fixtures)
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.postgresql import PASSWORD, USER, Postgresql, run_postgresql
from dicomgate_passcode import dummy_hash
from plugins.sql.tests.backend import CHEAP, SELECT, TABLE, Backend, cheap_hash


@pytest.fixture(autouse=True)
def _cheap_dummies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dummy_hash, "DEFAULT_COST", CHEAP["argon2id"])


@pytest.fixture(autouse=True)
def _libraries_log_warnings_alone(caplog: pytest.LogCaptureFixture) -> None:
    """As in the gateway's own log."""
    for name in ("psycopg", "sqlalchemy"):
        caplog.set_level(logging.WARNING, name)


@pytest.fixture(scope="session")
def _running_postgresql(certificates: Certificates) -> Iterator[Postgresql]:
    with run_postgresql(certificates) as running:
        yield running


@pytest.fixture
def postgresql(_running_postgresql: Postgresql) -> Iterator[Postgresql]:
    """One server for all tests; the table `users` is empty at the start of each."""
    server = _running_postgresql
    server.execute(f"DROP TABLE IF EXISTS users; {TABLE}; GRANT SELECT, UPDATE ON users TO {USER}")
    yield server
    server.restore()


@pytest.fixture
def sqlite_backend(tmp_path: Path) -> Backend:
    file = tmp_path / "users.sqlite"

    def execute(statement: str) -> str:
        with closing(sqlite3.connect(file)) as connection, connection:
            row = connection.execute(statement).fetchone()
        return "" if row is None else str(row[0])

    execute(TABLE)
    file.chmod(0o600)
    return Backend(execute, {"file": file, "select": SELECT})


@pytest.fixture
def postgresql_backend(postgresql: Postgresql, tmp_path: Path) -> Backend:
    file = tmp_path / "database.password"
    file.touch(mode=0o600)
    file.write_text(f"{PASSWORD}\n")
    return Backend(postgresql.execute, {"url": postgresql.url, "password_file": file, "select": SELECT})


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Alice, whose passcode is `secret`; bert, who is disabled; carl, who has no hash."""
    backend: Backend = request.getfixturevalue(f"{request.param}_backend")
    backend.put("alice", cheap_hash(), "radiology, ct")
    backend.put("bert", cheap_hash(), "radiology", True)
    backend.put("carl", None)
    return backend
