"""`python -m bench.lost_answers`: how many answers a pynetdicom client loses (docs/pynetdicom.md says why).

The server answers each C-ECHO in the packet that acknowledges it. Every core is kept busy meanwhile.
There is no gateway here: what is lost is lost in the client.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pynetdicom import AE, Association
from pynetdicom.sop_class import Verification

from dicomgate.testing.checkpoint import REPAIRED

from .contestants import make_certificate
from .messages import ECHO, IMPLICIT_VR_LITTLE_ENDIAN
from .pacs import pacs
from .processes import PYTHON, running

_LIMIT = 300.0  # seconds, for all of it
_SPIN = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"


class Taken(logging.Handler):
    """Counts the answers that the reactor took away from the client."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line of pynetdicom's log."""
        self.count += record.getMessage() == "Received unexpected C-ECHO service message"


@contextmanager
def busy_cores(folder: Path) -> Iterator[None]:
    """Keep every core busy."""
    with ExitStack() as stack:
        for number in range(os.cpu_count() or 1):
            stack.enter_context(running([PYTHON, "-c", _SPIN, str(_LIMIT)], folder, f"busy-{number}"))
        yield


def main() -> None:
    """Send C-ECHOs one after another; after a lost answer, go on in a new association."""
    parser = argparse.ArgumentParser(prog="python -m bench.lost_answers", description=__doc__)
    parser.add_argument("--echoes", type=int, default=12_000)
    parser.add_argument("--repaired", action="store_true", help="with the repair of docs/pynetdicom.md")
    arguments = parser.parse_args()
    taken, sent, lost, until = Taken(), 0, 0, time.monotonic() + _LIMIT
    logging.getLogger("pynetdicom").addHandler(taken)
    entity = AE(ECHO)
    entity.dimse_timeout = 1
    entity.add_requested_context(Verification, IMPLICIT_VR_LITTLE_ENDIAN.decode())
    with tempfile.TemporaryDirectory(prefix="dicomgate-bench-") as name, ExitStack() as stack:
        server = stack.enter_context(pacs(Path(name), make_certificate(Path(name))))
        stack.enter_context(busy_cores(Path(name)))
        while sent < arguments.echoes and time.monotonic() < until:
            association = entity.associate("127.0.0.1", server.port, evt_handlers=[REPAIRED] * arguments.repaired)
            answered = _echo(association, arguments.echoes - sent, until)
            lost += not association.is_established
            sent += answered + (not association.is_established)
            association.release()
    print(f"{lost} of {sent} C-ECHOs without an answer; {taken.count} answers arrived and were taken by the reactor")


def _echo(association: Association, most: int, until: float) -> int:
    """How many C-ECHOs were answered: `most`, unless one is not, or the time is over."""
    for number in range(most):
        if time.monotonic() > until:
            return number
        if "Status" not in association.send_c_echo():
            return number
    return most


if __name__ == "__main__":
    main()
