"""The standard streams: closed ones, letters that a terminal cannot show, output that nobody takes.

Rule 1: what a stream cannot show is escaped: no text ends a command (LC_ALL=C, an argument that is not UTF-8).
Rule 2: output that was not taken (a full disk, a reader that has gone) is one failure, not another as Python ends.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

_STANDARD = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def prepare() -> None:
    """Make the three streams fit for any text. One that is closed becomes the null device."""
    for number, (name, mode) in enumerate(_STANDARD):
        try:
            os.fstat(number)
        except OSError:
            # Otherwise the next file that is opened would take its place, and receive what we print.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 (for as long as the process)
        stream = getattr(sys, name)
        if mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish() -> bool:
    """Write out what is still held back; False if something could not be written. Call it last."""
    taken = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            taken = False
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())  # Python flushes again as it ends
                os.close(null)
    return taken
