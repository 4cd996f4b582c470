"""In the place of a PostgreSQL server: another program, no program, or a server without the right certificate."""

from __future__ import annotations

import gc
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomgate import Accept, Decision, Unavailable
from dicomgate.testing.commandline import DICOMGATE
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, free_port
from dicomgate.testing.system_gateway import configuration
from plugins.sql.tests.backend import TIMEOUT, Backend, cheap_hash, in_time, unavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
def postgresql_backend(postgresql_backend: Backend) -> Backend:
    postgresql_backend.put("alice", cheap_hash())
    postgresql_backend.options["database_timeout"] = timedelta(seconds=TIMEOUT)
    return postgresql_backend


Script = Callable[[socket.socket], None]


@contextmanager
def server(script: Script) -> Iterator[str]:
    """The address of what is no PostgreSQL: each connection is handed to the script, and then closed."""
    with socket.create_server((HOST, 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(5)
                        script(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"postgresql://gate@{HOST}:{listening.getsockname()[1]}/users"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(20)
            assert not thread.is_alive()


def says(answer: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return script


def drain(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


NO_DATABASES: dict[str, Script] = {
    "closes": says(b""),
    "closes at once": lambda connection: None,
    "HTTP": says(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<html>"),
    "SSH": says(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "ones": says(b"\xff" * 4096),
    "echo": lambda connection: connection.sendall(connection.recv(4096)),
    "a huge message": says(b"R\x7f\xff\xff\xff" + b"x" * 4096),
    "a negative length": says(b"R\x80\0\0\0\0\0\0\0"),
    "an unknown authentication": says(b"R\0\0\0\x08\0\0\0\x63"),
    "let in, and then nonsense": says(b"R\0\0\0\x08\0\0\0\0" + b"nonsense" * 99),
    "let in, and then nothing": says(b"R\0\0\0\x08\0\0\0\0"),
    "an error without fields": says(b"E\0\0\0\x05\0"),
    "an error with a long message": says(b"E\0\0\x10\x0cC42P01\0M" + b"\x1b[2J\n" * 819 + b"M\0\0"),
    "silence": drain,
}


@pytest.mark.parametrize("script", NO_DATABASES.values(), ids=NO_DATABASES)
async def test_no_database_at_all(script: Script, postgresql_backend: Backend) -> None:
    with server(script) as url:
        async with postgresql_backend.make(url=url) as sql:
            decision = await in_time(sql)
            assert isinstance(decision, Unavailable)
            assert decision.reason.startswith("the database: ")
            assert len(decision.reason) < 300
            assert "canary" not in decision.reason
    gc.collect()


def test_a_server_that_says_zeros_freezes_nothing(postgresql_backend: Backend, tmp_path: Path) -> None:
    """In a process of its own, which can be killed: a driver that loops over them gives nothing else a turn."""
    (tmp_path / "passcode").write_text("secret\n")
    with server(says(bytes(4096))) as url:
        table = {"use": "sql", **postgresql_backend.options, "url": url, "database_timeout": "1s"}
        config = tmp_path / "dicomgate.toml"
        config.write_text(as_toml({**configuration((HOST, 4242)), "authenticator": [table]}), "utf-8")
        asked = ["ask", "-c", str(config), "--user", "alice", "--passcode-file", str(tmp_path / "passcode")]
        done = subprocess.run([*DICOMGATE, *asked], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    assert "expected authentication request from server" in done.stdout


async def test_no_server_at_the_address(postgresql_backend: Backend) -> None:
    async with postgresql_backend.make(url=f"postgresql://gate@{HOST}:{free_port()}/users") as sql:
        await unavailable(sql, "the database: connection failed: ")
    async with postgresql_backend.make(url="postgresql://gate@db.invalid/users", cleartext=True) as sql:
        await unavailable(sql, "the database: ")


async def test_tls(postgresql_backend: Backend, certificates: Certificates) -> None:
    encrypted = "SELECT hash, (SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS groups FROM users"
    url, elsewhere = postgresql_backend.options["url"], postgresql_backend.options["url"].replace(HOST, "127.0.0.2")

    async def answer(url: str, **options: Any) -> Decision:
        async with postgresql_backend.make(url=url, select=f"{encrypted} WHERE name = :name", **options) as sql:
            return await in_time(sql)

    groups = {"true": Accept("alice", frozenset({"true"})), "false": Accept("alice", frozenset({"false"}))}
    assert await answer(url, ca=certificates.ca) == groups["true"]
    assert await answer(url) == groups["false"]
    assert await answer(elsewhere) == groups["false"]
    for where, ca, why in (
        (url, certificates.other_ca, "certificate verify failed"),
        (elsewhere, certificates.ca, 'does not match host name "127.0.0.2"'),
    ):
        decision = await answer(where, ca=ca)
        assert isinstance(decision, Unavailable)
        assert why in decision.reason


async def test_a_server_that_refuses_tls_is_told_nothing(
    postgresql_backend: Backend, certificates: Certificates
) -> None:
    heard = bytearray()

    def script(connection: socket.socket) -> None:
        heard.extend(connection.recv(4096))
        connection.sendall(b"N")
        heard.extend(connection.recv(4096))

    with server(script) as url:
        async with postgresql_backend.make(url=url, ca=certificates.ca) as sql:
            await unavailable(sql, "the database: ")
    assert heard == bytes.fromhex("00000008 04d2162f") * 2  # SSLRequest, for the question at the start and for ours
