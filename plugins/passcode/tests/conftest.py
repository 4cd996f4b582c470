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

from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.fixtures import gateway  # noqa: F401 (fixtures)
from plugins.passcode.tests.users import cheap_hash


@pytest.fixture
def users_file(tmp_path: Path) -> Path:
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
