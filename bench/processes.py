"""Processes of contestants: start, wait until they listen, read CPU time and memory from /proc, stop.

Each has a session of its own: what it forks is counted and stopped with it, and a Ctrl-C at the terminal reaches the
benchmark alone, which then stops them all.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 15.0  # seconds for a start
_GRACE = 3.0  # seconds between SIGTERM and SIGKILL


class BenchError(Exception):
    """A benchmark cannot be run; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was started; `pid` is its session's id too. `log` holds what it wrote."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The leader of the session."""
        return self.process.pid

    def pids(self) -> list[int]:
        """Its processes: the leader, and what it forked."""
        return _members(self.pid)

    def cpu(self) -> float:
        """Seconds of CPU that its processes took so far, those that have ended included."""
        seconds = 0.0
        for pid in self.pids():
            with suppress(OSError):
                fields = _stat(pid)
                # utime and stime; of the leader also cutime and cstime, its ended children's
                seconds += sum(int(field) for field in fields[11 : 15 if pid == self.pid else 13]) / _TICKS
        return seconds

    def memory(self) -> float:
        """KiB of its processes: proportional set size, which counts a shared page once."""
        total = 0
        for pid in self.pids():
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return float(total)

    def check(self) -> None:
        """Raise BenchError with the end of its log if it has ended."""
        if self.process.poll() is not None:
            raise BenchError(f"{self.log.stem} ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-12:])


@contextmanager
def running(
    command: Sequence[str | Path],
    folder: Path,
    name: str,
    *,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[Running]:
    """A process for as long as the block; what it writes goes to a file in the folder."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ) | dict(environment or {}),
            pass_fds=pass_fds,
            start_new_session=True,
            cwd=ROOT,
        )
    started = Running(process, log)
    try:
        yield started
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    finally:
        with suppress(ProcessLookupError):  # the leader, or what it left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 on which no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def wait_until_listening(process: Running, port: int) -> None:
    """Wait for the first connection that succeeds. Raises BenchError."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        process.check()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise BenchError(f"{process.log.stem} does not listen:\n{process.tail()}")


def raise_descriptor_limit() -> int:
    """As many file descriptors as are allowed, for this process and those that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _members(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int(_stat(int(entry.name))[3]) == session:
                    found.append(int(entry.name))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the command's name: [0] is the state, [3] the session, [11] utime."""
    return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
