from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import Result

from dicomgate.testing.commandline import DICOMGATE, dicomgate, logging_as_it_was
from dicomgate.testing.pacs import Pacs

PASSCODE = "canary-7f3a-passcode"
LISTENING = re.compile(r"listening on 127\.0\.0\.\d+:(\d+): listener (\w+)")

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    with logging_as_it_was():
        yield


@pytest.fixture
def run() -> Run:
    """Run a command in this process; what is given to standard input is not a terminal's."""

    return lambda *arguments, stdin="": dicomgate(*arguments, stdin=stdin.encode())


@pytest.fixture
def gate(tmp_path: Path, run: Run) -> Path:
    """A configuration with one user, alice."""
    users = tmp_path / "users.htpasswd"
    assert run("passcode", "add", "alice", "--file", users, stdin=PASSCODE).exit_code == 0
    path = tmp_path / "dicomgate.toml"
    path.write_text(_configuration())
    return path


def _configuration(upstream: int = 1, listeners: str = "", authenticators: str = "") -> str:
    listeners = listeners or '[[listener]]\nname = "plain"\nbind = "127.0.0.1:0"\ncleartext_passcodes = true\n'
    authenticators = authenticators or '[[authenticator]]\nuse = "passcode"\nname = "staff"\nfile = "users.htpasswd"\n'
    pacs = f'[[upstream]]\nname = "pacs"\naddress = "127.0.0.1:{upstream}"\ncalled_ae_titles = ["PACS"]\n'
    return f'[gateway]\naudit = "audit.jsonl"\ndrain_timeout = "60s"\n{listeners}{pacs}{authenticators}'


@dataclass
class Gateway:
    """A running `dicomgate serve`: what it logs, and the port of each listener."""

    process: subprocess.Popen[str]
    lines: list[str]
    grown: threading.Condition
    done: threading.Event

    def wait_for(self, what: str, times: int = 1) -> None:
        with self.grown:
            seen = self.grown.wait_for(lambda: self.count(what) >= times or self.done.is_set(), timeout=30)
        assert seen, self.lines
        assert self.count(what) >= times, self.lines

    def count(self, what: str) -> int:
        return sum(what in line for line in self.lines)

    def port(self, listener: str) -> int:
        return next(int(found[1]) for line in self.lines if (found := LISTENING.search(line)) and found[2] == listener)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.finished()

    def finished(self) -> int:
        status = self.process.wait(timeout=30)
        assert self.done.wait(30)
        return status


@contextmanager
def _serving(
    path: Path, *options: str, environment: dict[str, str] | None = None, python: str = sys.executable
) -> Iterator[Gateway]:
    process = subprocess.Popen(
        [python, *DICOMGATE[1:], "serve", "--config", str(path), *options],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    gateway = Gateway(process, [], threading.Condition(), threading.Event())

    def read() -> None:
        for line in process.stderr or ():
            with gateway.grown:
                gateway.lines.append(line.rstrip("\n"))
                gateway.grown.notify_all()
        with gateway.grown:
            gateway.done.set()
            gateway.grown.notify_all()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield gateway
    finally:
        process.kill()
        reader.join()
        process.communicate()


@pytest.fixture(scope="session")
def pacs() -> Iterator[int]:
    """A PACS that knows nothing of users: its port."""
    with Pacs() as pacs:
        yield pacs.address[1]


@contextmanager
def _answering(*answers: bytes) -> Iterator[int]:
    """A server that answers each thing it receives with the next of `answers`, then closes: its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            for data in answers:
                connection.recv(65_536)
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with socket.create_connection(listener.getsockname()):  # if nobody came: let it go
            pass
        listener.close()
        thread.join()


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Install a distribution `acme` with a module and its entry points, for this test."""

    def install(source: str, points: str) -> Path:
        folder = tmp_path / "site"
        (folder / "acme-1.5.dist-info").mkdir(parents=True)
        (folder / "acme-1.5.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.5\n")
        (folder / "acme-1.5.dist-info" / "entry_points.txt").write_text(points)
        (folder / "acme_login.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, "acme_login", raising=False)
        return folder

    yield install
    sys.modules.pop("acme_login", None)


def _one_line(result: Result, status: int) -> str:
    """What a command that ends with `status` says on its one line of standard error."""
    assert result.exit_code == status, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.output
    return result.stderr


@pytest.fixture
def configuration() -> Callable[..., str]:
    """The text of a configuration."""
    return _configuration


@pytest.fixture
def serving() -> Callable[..., AbstractContextManager[Gateway]]:
    """Run `dicomgate serve` while a `with` lasts."""
    return _serving


@pytest.fixture
def answering() -> Callable[..., AbstractContextManager[int]]:
    """Run a server that says what it is told to say."""
    return _answering


@pytest.fixture
def one_line() -> Callable[[Result, int], str]:
    """Check that a command ended with a status and one line, and return the line."""
    return _one_line


@pytest.fixture
def passcode() -> str:
    """Alice's passcode, which must not show in any output."""
    return PASSCODE
