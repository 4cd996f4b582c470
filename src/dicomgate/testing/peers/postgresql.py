"""A PostgreSQL server that a test can stop, start and let hang.

It listens on 127.0.0.1, for which its certificate is, and on 127.0.0.2, for which it is not.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, Address, free_port
from dicomgate.testing.peers.process import Service

SUPERUSER, USER, PASSWORD = "postgres", "gate", "canary-database-9fT2"
_NOBODY = 65534  # PostgreSQL refuses to run as root

_SETTINGS = """
listen_addresses = '127.0.0.1,127.0.0.2'
unix_socket_directories = ''
fsync = off
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
max_connections = 20
shared_buffers = 16MB
"""


class Postgresql:
    """A server with the database `users`, which `USER` may log in to with `PASSWORD`, over TCP alone."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.address: Address = (HOST, free_port())
        self._programs = programs
        self._folder = folder
        port = str(self.address[1])
        ready: list[str | Path] = [programs / "pg_isready", "-q", "-h", HOST, "-p", port]
        self._service = Service(
            [*_as_nobody(), programs / "postgres", "-D", folder / "data", "-p", port],
            log=folder / "postgresql.log",
            ports=[self.address[1]],
            ready=lambda: subprocess.run(ready, check=False).returncode == 0,
        )

    @property
    def url(self) -> str:
        """Where it is, without a password."""
        return f"postgresql://{USER}@{HOST}:{self.address[1]}/users"

    def execute(self, statements: str, database: str = "users") -> str:
        """Execute as the superuser; return what psql prints."""
        where = ["-h", HOST, "-p", str(self.address[1]), "-U", SUPERUSER, "-d", database]
        finished = subprocess.run(
            [self._programs / "psql", *where, "-qAt", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            input=statements,
            env={**os.environ, "PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    def connections(self) -> int:
        """Tell how many connections the gateway has."""
        return int(self.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dicomgate'"))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._service.start()

    def stop(self) -> None:
        """Stop it at once: every connection breaks."""
        if (process := self._service.process) is not None:
            self.go_on()
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=20)
        self._service.stop()

    def hang(self) -> None:
        """Let it accept connections and say nothing more: all its processes are stopped, each has a session."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End the hanging."""
        self._signal(signal.SIGCONT)

    def restore(self) -> None:
        """Let it run and answer, after whatever a test did to it."""
        if self._service.process is None:
            self.start()
        self.go_on()

    def _signal(self, number: signal.Signals) -> None:
        parent = self._service.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for process in (parent, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(process, number)


@contextmanager
def run_postgresql(certificates: Certificates) -> Iterator[Postgresql]:
    """Run a server with TLS (and without, as the client wishes) until the block ends; skip where there is none."""
    programs = _programs()
    # Not in a folder of pytest's: those are closed to the user that the server runs as.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        shutil.copy(certificates.server.certificate, folder / "server.pem")
        shutil.copy(certificates.server.key, folder / "server.key")
        if os.geteuid() == 0:
            for path in (folder, *folder.iterdir()):
                os.chown(path, _NOBODY, _NOBODY)
        initdb = [*_as_nobody(), programs / "initdb", "-D", folder / "data", "-U", SUPERUSER, "--no-sync"]
        options = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
        subprocess.run([*initdb, *options], check=True, capture_output=True, timeout=60)
        for file in ("server.pem", "server.key"):
            (folder / file).rename(folder / "data" / file)
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        server = Postgresql(programs, folder)
        try:
            server.start()
            server.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'; CREATE DATABASE users", "postgres")
            yield server
        finally:
            server.stop()


def _programs() -> Path:
    # Debian keeps them out of the PATH: there can be several versions.
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[4].zfill(3))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("initdb is not installed: apt-get install postgresql")
    return found[-1].parent if found else Path(str(on_path)).parent


def _as_nobody() -> list[str | Path]:
    identity = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    return ["setpriv", *identity] if os.geteuid() == 0 else []
