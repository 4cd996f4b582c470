"""The process that asks one server: `python -m dicomgate_ldap.worker`.

Its standard input has the settings on the first line and a question on each line after that; its standard output has an
answer for each. It ends when its input does, and dies if a question takes too long, even inside of libldap.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from .directory import Directory
from .messages import Answer, Failed, Refused, Verified, read_question, to_line
from .settings import Settings


def serve(lines: Iterable[bytes], output: BinaryIO) -> None:
    """Answer every question, in turn."""
    rest = iter(lines)
    directory = Directory(Settings(**json.loads(next(rest))[1]))
    for line in rest:
        question = read_question(line)
        # The default action of SIGALRM ends the process wherever it is. Who asked will have given up by then; if the
        # gateway itself was killed, nobody else would end a worker that hangs.
        signal.setitimer(signal.ITIMER_REAL, question.seconds)
        start = time.monotonic()
        try:
            answer: Answer = directory.answer(question)
            if isinstance(answer, Verified | Refused):
                answer = replace(answer, seconds=time.monotonic() - start)
        except Exception as error:  # noqa: BLE001 - what it says may hold a secret
            answer = Failed(f"defect: {type(error).__name__} in {_place(error)}")
        signal.setitimer(signal.ITIMER_REAL, 0)
        output.write(to_line(answer))
        output.flush()


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


if __name__ == "__main__":
    # Ctrl-C and a service manager's SIGTERM go to the gateway's whole group; the gateway still asks while it drains.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
    # Not sys.exit: bonsai has given away references to None that are not its own, and Python would notice at the end.
    os._exit(0)
