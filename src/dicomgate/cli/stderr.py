"""Standard error, where the log goes: in `serve` by a thread of its own, from other commands directly.

Rule: while the gateway runs, nothing else writes to standard output or standard error: what a library prints, and the
traceback of a thread or a finalizer, is logged. It can neither hold up the gateway nor get between two audit records,
and of an exception the words stay untold.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from ..events.backlog import Loss
from ..events.writer import Writer

_log = logging.getLogger("dicomgate.printed")
_STANDARD_ERROR = 2  # and not sys.stderr, which has a lock for which the interpreter would wait at its end
_LINE_END = re.compile(r"[\r\n]")
_LONGEST = 4096  # characters of a line that does not end
_PATIENCE = 2.0  # seconds for what waits at the end of the process


class DirectHandler(logging.Handler):
    """Writes to what standard error is now."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it; the caller waits."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 (a log that cannot be written ends nothing)
            self.handleError(record)


class QueueHandler(logging.Handler):
    """Has a `Writer` write to standard error. `logging.shutdown` waits a moment for what is not yet written."""

    def __init__(self) -> None:
        super().__init__()
        # If it was closed before the start, its number may be another file's by now.
        none = sys.__stderr__ is None
        self._writer = Writer(os.open(os.devnull, os.O_WRONLY) if none else os.dup(_STANDARD_ERROR), self._lost)

    def emit(self, record: logging.LogRecord) -> None:
        """Write it later; no caller waits."""
        try:
            self._writer.put(self._line(record))
        except Exception:  # noqa: BLE001 (a log that cannot be written ends nothing)
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, if it is taken in time."""
        self._writer.close(_PATIENCE)
        super().close()

    def _line(self, record: logging.LogRecord) -> bytes:
        encoding = getattr(sys.__stderr__, "encoding", None) or "utf-8"
        return f"{self.format(record)}\n".encode(encoding, "backslashreplace")

    def _lost(self, loss: Loss) -> bytes:
        since, until = (moment.isoformat(timespec="milliseconds") for moment in (loss.since, loss.until))
        message = f"{loss.items} lines of the log are lost, from {since} to {until}: {loss.reason}"
        return self._line(logging.LogRecord("dicomgate.log", logging.ERROR, "", 0, message, (), None))


@contextmanager
def nothing_but_the_log() -> Iterator[None]:
    """Within the block, log what is printed, warned of, or raised where nobody catches it."""
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = _log_uncaught, _log_uncaught
    logging.captureWarnings(True)
    printed = _Printed()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            yield
    finally:
        threading.excepthook, sys.unraisablehook = hooks
        logging.captureWarnings(False)


def _log_uncaught(what: threading.ExceptHookArgs | sys.UnraisableHookArgs) -> None:
    error = what.exc_value
    if error is not None and not isinstance(error, SystemExit):  # which ends a thread as it should
        _log.error("an uncaught exception", exc_info=(type(error), error, what.exc_traceback))


class _Printed(io.TextIOBase):
    """Logs each line that is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = ""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return _STANDARD_ERROR

    def write(self, text: str) -> int:
        *lines, self._begun = _LINE_END.split(self._begun + text)
        if len(self._begun) > _LONGEST:
            lines, self._begun = [*lines, self._begun], ""
        for line in lines:
            if line:
                _log.warning("printed: %s", line)
        return len(text)
