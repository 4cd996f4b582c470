from __future__ import annotations

import ssl
from pathlib import Path
from unittest.mock import Mock

import pytest

from dicomgate import ConfigError
from dicomgate.testing.peers.certificates import Certificates
from dicomgate_sql import Sql, connection
from dicomgate_sql.connection import Connection, postgresql, sqlite

SELECT = "SELECT hash FROM users WHERE name = :name"
HERE = "postgresql://gate@127.0.0.1/users"


def server(
    url: str = HERE, password_file: Path | None = None, ca: Path | None = None, cleartext: bool = False
) -> Connection:
    return postgresql(url, password_file, ca, cleartext=cleartext, connections=3, timeout=1)


def test_one_of_file_and_url(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one of file"):
        Sql(select=SELECT)
    with pytest.raises(ConfigError, match="one of file"):
        Sql(select=SELECT, file=tmp_path / "users.sqlite", url=HERE)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"connections": 0}, "connections: must be from 1 to 100"),
        ({"connections": 101}, "connections: must be from 1 to 100"),
        ({"ca": Path("ca.pem"), "cleartext": True}, "contradict"),
        ({"select": "SELECT hash FROM users"}, "select: has no parameter"),
        ({"update": "UPDATE users SET hash = :hash"}, "update: has no parameter"),
    ],
)
def test_what_is_wrong_is_said_at_the_start(options: dict[str, object], why: str) -> None:
    assert Sql(url=HERE, select=SELECT)
    with pytest.raises(ConfigError, match=why):
        Sql(**{"url": HERE, "select": SELECT, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "no database address"),
        ("users.sqlite", "no database address"),
        ("postgresql://gate@db:canary-port/users", "no database address"),
        ("sqlite:///users.sqlite", "'sqlite' is unknown; known is postgresql. For SQLite, write file"),
        ("mysql://gate@db/users", "'mysql' is unknown"),
        ("postgresql+asyncpg://gate@db/users", "is unknown"),
        ("postgresql://gate:canary-secret@db/users", "must not hold the password"),
        ("postgresql://gate@db/users?password=canary-secret", "must not hold the password"),
        ("postgresql://gate@db/users?ssl=disable", "unknown parameters: ssl"),
        ("postgresql:///users", "must name the host"),
        ("postgresql://gate@db", "must name the host and the database"),
    ],
)
def test_an_address_that_is_wrong(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as wrong:
        server(url)
    assert "canary" not in repr(wrong.value)
    assert wrong.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_an_address_that_is_right(scheme: str) -> None:
    made = server(f"{scheme}://gate@127.0.0.1:5433/users")
    assert made.url.drivername == "postgresql+psycopg"
    assert (made.url.host, made.url.port, made.url.database, made.url.username) == ("127.0.0.1", 5433, "users", "gate")
    assert made.engine["pool_size"] == 3
    assert made.engine["max_overflow"] == 0


def test_without_psycopg_postgresql_is_refused_and_sqlite_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"url: PostgreSQL needs the package psycopg: install dicomgate-sql\[post"):
        server()
    (tmp_path / "users.sqlite").touch(mode=0o600)
    assert sqlite(tmp_path / "users.sqlite", writes=False, timeout=1.0)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        (HERE, True),
        ("postgresql://gate@127.8.9.10/users", True),
        ("postgresql://gate@[::1]/users", True),
        ("postgresql://gate@localhost/users", True),
        ("postgresql://gate@/users?host=/run/postgresql", True),
        ("postgresql://gate@192.0.2.1/users", False),
        ("postgresql://gate@db.hospital.example/users", False),
        ("postgresql://gate@localhost.example/users", False),
        ("postgresql://gate@127.0.0.1/users?host=db.hospital.example", False),
        ("postgresql://gate@/users?host=/run/postgresql&host=192.0.2.1", False),
    ],
)
def test_another_machine_is_spoken_to_with_verified_tls(url: str, here: bool, certificates: Certificates) -> None:
    system = ssl.get_default_verify_paths().cafile
    assert system is not None
    verified = {"sslmode": "verify-full", "sslrootcert": system}
    assert tls(server(url)) == ({"sslmode": "disable"} if here else verified)
    assert tls(server(url, ca=certificates.ca)) == {"sslmode": "verify-full", "sslrootcert": str(certificates.ca)}
    assert tls(server(url, cleartext=True)) == {"sslmode": "disable"}


def tls(made: Connection) -> dict[str, str]:
    return {key: value for key, value in made.arguments.items() if key.startswith("ssl")}


def test_a_ca_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name, said in (("ca.pem", "contains no certificate"), ("missing.pem", "cannot be read")):
        with pytest.raises(ConfigError, match=f"ca: .*{name}: {said}"):
            server(ca=tmp_path / name)


def test_the_password_is_read_for_each_connection_and_shows_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("canary-first\n")
    file.chmod(0o600)
    made = server(password_file=file)
    assert made.for_each() == {"password": "canary-first"}
    file.write_text("canary second \r\n")
    assert made.for_each() == {"password": "canary second "}
    assert "canary" not in repr(made)
    assert server().for_each() == {}


@pytest.mark.parametrize(("content", "mode"), [(b"one\ntwo\n", 0o600), (b"\xff\xfe", 0o600), (b"one", 0o604)])
def test_a_password_file_that_is_wrong(content: bytes, mode: int, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(ConfigError, match="password_file: ") as wrong:
        server(password_file=file)
    assert "one" not in str(wrong.value).replace("one line", "")


def test_a_file_that_is_no_authority(tmp_path: Path) -> None:
    file = tmp_path / "users.sqlite"
    with pytest.raises(ConfigError, match="No such file"):
        sqlite(file, writes=False, timeout=1.0)
    file.touch(mode=0o600)
    made = sqlite(file, writes=False, timeout=1.0)
    assert made.watched is not None
    made.watched.check(pytest.fail)
    for _ in range(2):
        file.chmod(0o666)
        with pytest.raises(ConfigError, match="everybody may write this file"):
            made.watched.check(pytest.fail)
        file.chmod(0o600)
        changed = Mock()
        made.watched.check(changed)
        changed.assert_called_once()
    file.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        made.watched.check(pytest.fail)
