from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate.testing.peers.certificates import Certificates
from dicomgate_sql import Sql, target
from dicomgate_sql.target import postgresql, read_password, sqlite

SELECT = "SELECT hash FROM users WHERE name = :name"
HERE = "postgresql://gate@127.0.0.1/users"


def server(
    url: str = HERE, password_file: Path | None = None, ca: Path | None = None, cleartext: bool = False
) -> target.Target:
    return postgresql(url, password_file, ca, cleartext=cleartext, connections=3, patience=1.0)


def test_one_of_file_and_url(tmp_path: Path) -> None:
    for options in ({}, {"file": tmp_path / "users.sqlite", "url": HERE}):
        with pytest.raises(ConfigError, match="one of file"):
            Sql(select=SELECT, **options)


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
        ("postgresql+psycopg://gate@db/users", "is unknown"),
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


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg"])
def test_an_address_that_is_right(scheme: str) -> None:
    made = server(f"{scheme}://gate@127.0.0.1:5433/users")
    assert made.url.drivername == "postgresql+asyncpg"
    assert (made.url.host, made.url.port, made.url.database, made.url.username) == ("127.0.0.1", 5433, "users", "gate")
    assert made.pool["pool_size"] == 3
    assert made.pool["max_overflow"] == 0


def test_without_asyncpg_postgresql_is_refused_and_sqlite_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"url: PostgreSQL needs the package asyncpg: install dicomgate-sql\[postgresql"
    ):
        server()
    (tmp_path / "users.sqlite").touch(mode=0o600)
    assert sqlite(tmp_path / "users.sqlite", writes=False, patience=1.0)


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
    def is_verified(context: object) -> bool:
        if not isinstance(context, ssl.SSLContext):
            assert context is False  # not None: with that, asyncpg would try TLS and verify nothing
            return False
        return context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED

    assert is_verified(server(url).arguments["ssl"]) is not here
    assert is_verified(server(url, ca=certificates.ca).arguments["ssl"])
    assert not is_verified(server(url, cleartext=True).arguments["ssl"])


def test_a_ca_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=f"ca: .*{name}: cannot be used"):
            server(ca=tmp_path / name)


def test_the_password_is_read_for_each_connection_and_shows_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("canary-first\n")
    file.chmod(0o600)
    made = server(password_file=file)
    assert made.arguments["password"]() == "canary-first"
    file.write_text("canary second \r\n")
    assert made.arguments["password"]() == "canary second "
    assert "canary" not in repr(made)
    assert "password" not in server().arguments


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe"])
def test_a_password_file_that_is_wrong(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="password_file: ") as wrong:
        server(password_file=file)
    assert "one" not in str(wrong.value).replace("one line", "")


def test_a_password_file_that_is_missing_or_open_to_everybody(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_password(tmp_path / "missing")
    file = tmp_path / "password"
    file.write_text("canary")
    for mode in (0o602, 0o604):
        file.chmod(mode)
        with pytest.raises(ConfigError, match=r"password_file: .*everybody may read or write this file"):
            read_password(file)
    file.chmod(0o640)
    assert read_password(file) == "canary"


def test_a_file_that_is_no_authority(tmp_path: Path) -> None:
    file = tmp_path / "users.sqlite"
    with pytest.raises(ConfigError, match="No such file"):
        sqlite(file, writes=False, patience=1.0)
    os.mkfifo(file, 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        sqlite(file, writes=False, patience=1.0)
    file.unlink()
    file.touch(mode=0o600)
    made = sqlite(file, writes=False, patience=1.0)
    made.check()
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="everybody may write this file"):
        made.check()
    file.chmod(0o600)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write the folder"):
        made.check()
    tmp_path.chmod(0o700)
    made.check()
