"""A server program of a test: started, waited for, hung, stopped with all its children; its log is kept."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from .loopback import listens, wait_until

_SYSTEM_FOLDERS = "/usr/sbin:/sbin"  # where Debian keeps servers; an ordinary user's PATH lacks them


def require(program: str, package: str) -> str:
    """Return the path of the program, or skip the test with what to install."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}")
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return path


class Service:
    """A program that runs from `start` to `stop`, as often as a test likes; as a context manager, until the block ends.

    It is ready once every one of the TCP `ports` is listened on and `ready()` is true. `log` receives its output,
    `environment` is added to this process's own.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        ports: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        ready: Callable[[], object] = lambda: True,
    ) -> None:
        self._command = command
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self._ports = ports
        self._environment = environment or {}
        self._ready = ready

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process, which leads a process group of its own. Raises RuntimeError if it does not run."""
        if self.process is None:
            raise RuntimeError(f"{self._command[0]} does not run")
        return self.process.pid

    def start(self) -> None:
        """Start it, and return once it is ready. Raises RuntimeError with the log when it ends before that."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                start_new_session=True,  # a group of its own: stopped together with the children it forks
            )
        try:
            wait_until(self._is_ready, f"{self._command[0]} listening on {self._ports}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill it and its children. Idempotent."""
        # Killed, not asked: what these programs hold is thrown away, and Orthanc takes seconds to end by itself.
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def hang(self) -> None:
        """Stop it in its tracks: the kernel accepts connections, and nothing else happens."""
        os.killpg(self.pid, signal.SIGSTOP)
        state = Path(f"/proc/{self.pid}/stat")
        wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", f"{self._command[0]} hanging")

    def go_on(self) -> None:
        """Let it continue after `hang`. Does nothing if it does not run."""
        if self.process is not None:
            os.killpg(self.pid, signal.SIGCONT)

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            said = self.log.read_text(errors="replace")
            raise RuntimeError(f"{self._command[0]} ended with status {self.process.returncode}:\n{said}")
        return all(map(listens, self._ports)) and bool(self._ready())
