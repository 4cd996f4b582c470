"""A process of its own that judges tokens: a line of hexadecimal digits comes in, the decision goes out.

python -m plugins.kerberos.tests.judging KEYTAB
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]


class Judge:
    """Such a process, as its tests see it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def give(self, token: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(token.hex() + "\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """`Accept` or why not."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def ask(self, token: bytes) -> str:
        self.give(token)
        return self.answer()


@contextmanager
def judging(keytab: Path) -> Iterator[Judge]:
    """Run one, with the environment of this process."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(keytab)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *filter(None, sys.path)))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield Judge(process)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    from dicomgate import Accept
    from dicomgate.testing.kdc import SERVICE
    from dicomgate_kerberos import Kerberos
    from plugins.kerberos.tests.conftest import ask

    judge = Kerberos(keytab=Path(sys.argv[1]), principal=SERVICE, forms=("gss", "raw", "spnego"))
    for line in sys.stdin:
        decision = ask(judge, bytes.fromhex(line))
        print("Accept" if isinstance(decision, Accept) else decision.reason, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
