"""A program that runs for a while: started, waited for, its log kept, stopped with all its children."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from .loopback import listens, wait_until


def require(program: str, package: str) -> str:
    """Return the path of the program, or skip the test with what to install."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return path


@contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, ports: Sequence[int], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command until the block ends.

    `log` receives its output, `environment` is added to this process's own. The block is entered once every one of
    `ports` is listened on. Raises RuntimeError with the log when the program ends before that.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # a group of its own: stopped together with the children it forks
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{command[0]} ended with status {process.returncode}:\n{log.read_text()}")
        return all(map(listens, ports))

    try:
        wait_until(ready, f"{command[0]} listening on {ports}")
        yield process
    finally:
        # Killed, not asked: what these programs hold is thrown away, and Orthanc takes seconds to say goodbye.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
