from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from dicomgate import Attempt
from dicomgate.testing import attempt as make_attempt
from dicomgate.testing import passcode as with_passcode
from dicomgate.testing import username
from dicomgate.testing.commandline import dicomgate
from dicomgate_passcode.hashing import Cost, make_hash

# The cheapest parameters of each scheme: these tests are about what is decided, not about what it costs.
CHEAP = {
    "argon2id": Cost("argon2id", 1, memory_kib=8, lanes=1),
    "bcrypt": Cost("bcrypt", 4),
    "sha512-crypt": Cost("sha512-crypt", 1000),
    "sha256-crypt": Cost("sha256-crypt", 1000),
}


@pytest.fixture(scope="session")
def cheap_hash() -> Callable[..., str]:
    """A hash of the passcode, made with the cheapest parameters of the scheme."""

    def cheap_hash(passcode: bytes = b"secret", scheme: str = "argon2id") -> str:
        return make_hash(passcode, CHEAP[scheme])

    return cheap_hash


@pytest.fixture
def users_file(tmp_path: Path, cheap_hash: Callable[..., str]) -> Path:
    """A users file with alice, whose passcode is `secret`, and bert, who is disabled."""
    path = tmp_path / "users.htpasswd"
    path.write_text(f"# staff\nalice:{cheap_hash()}\nbert:!{cheap_hash()}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def run(users_file: Path) -> Callable[..., Result]:
    """Run a command on the users file; what is given to standard input is not a terminal's."""

    def run(*arguments: str, stdin: str | bytes = "", file: Path | None = users_file) -> Result:
        options = [] if file is None else ["--file", str(file)]
        data = stdin.encode() if isinstance(stdin, str) else stdin
        return dicomgate("passcode", *arguments, *options, stdin=data)

    return run


class Terminal:
    """A command that runs on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        program = "from dicomgate.cli import main; main()"
        # A session without a controlling terminal: what asks for a passcode then uses these three.
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, "passcode", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "100"},
        )
        os.close(theirs)
        self.shown = ""

    def expect(self, text: str) -> None:
        until = time.monotonic() + 30
        while text not in self.shown:
            ready, _, _ = select.select([self._ours], [], [], until - time.monotonic())
            assert ready, self.shown
            self.shown += os.read(self._ours, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def finish(self) -> int:
        try:
            return self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._ours)


@pytest.fixture
def at_terminal() -> type[Terminal]:
    """`at_terminal("list", "--file", path)` runs a command on a terminal of its own."""
    return Terminal


@pytest.fixture(scope="session")
def attempt() -> Callable[..., Attempt]:
    """An attempt of type 2; of type 1 if the passcode is None."""

    def attempt(user: str | bytes = "alice", passcode: bytes | None = b"secret") -> Attempt:
        if passcode is None:
            return make_attempt(username(user))
        return make_attempt(with_passcode(user, passcode))

    return attempt
