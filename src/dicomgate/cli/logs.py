"""The log on standard error: one record, one line, whatever a peer or a library sends.

Rule 1: nothing in a line can begin another one or move a cursor: what is not printable is escaped.
Rule 2: the level is for the gateway and its authenticators. Libraries are heard from WARNING on: some of them log
        passcodes at DEBUG.
Rule 3: of an exception the type and the places are logged, never what it says: that may hold a secret.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from ..auth.loading import installed
from ..events.audit import record as audit_record
from ..kit.text import one_line
from .stderr import DirectHandler, QueueHandler

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class Level(StrEnum):
    """From which level on records are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    """`text`: time, level and message. `json`: one object a line, in ASCII."""

    TEXT = "text"
    JSON = "json"


class _Formatter(logging.Formatter):
    """What both forms share: time in UTC, and exceptions without their words."""

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 (logging's name)
        kind, _, trace = ei
        frames = traceback.extract_tb(trace)
        places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
        return f"{kind.__name__ if kind else 'no exception'} at {places or 'an unknown place'}"

    def time(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(_Formatter):
    """`2025-01-31T12:00:00.000Z INFO message`."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line."""
        error = f": {self.formatException(record.exc_info)}" if record.exc_info else ""
        return one_line(f"{self.time(record)} {record.levelname} {record.getMessage()}{error}")


class JsonFormatter(_Formatter):
    """An object with time, level, logger, message; if there was one, exception; for an association, its audit record.

    The message is the line of the text format; the fields of the record have the names that they have in the audit.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line."""
        fields: dict[str, object] = {
            "time": self.time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if event := getattr(record, "event", None):
            fields = audit_record(event) | fields
        return json.dumps(fields, ensure_ascii=True)


class PlainFormatter(_Formatter):
    """`warning: message`, for a command that ends at once."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line."""
        return one_line(f"{record.levelname.lower()}: {record.getMessage()}")


def configure(
    level: Level = Level.WARNING, formatter: logging.Formatter | None = None, handler: logging.Handler | None = None
) -> None:
    """Log to standard error, from `level` on; without formatter and handler for a command that ends at once."""
    handler = handler or DirectHandler()
    handler.setFormatter(formatter or PlainFormatter())
    root = logging.getLogger()
    for other in [handler for handler in root.handlers if isinstance(handler, DirectHandler | QueueHandler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelName(level.name)))
    for package in {"dicomgate", *(point.module.split(".")[0] for point in installed().values())}:
        logging.getLogger(package).setLevel(level.name)
    logging.raiseExceptions = False
