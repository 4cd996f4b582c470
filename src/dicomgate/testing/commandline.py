"""`dicomgate ...` for the tests of commands: in this process, or in one of its own."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from typer.testing import CliRunner, Result

from dicomgate.cli import app

DICOMGATE = (sys.executable, "-c", "from dicomgate.cli import main; main()")
"""The command `dicomgate` as a process of its own, with this interpreter."""


def dicomgate(*arguments: object, stdin: bytes = b"") -> Result:
    """Run a command; its standard input is not a terminal."""
    with logging_as_it_was():
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@contextmanager
def logging_as_it_was() -> Iterator[None]:
    """Restore the log's handlers and levels: a command sets them for its process, and other tests need theirs."""
    root = logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in _our_loggers()}
    level, handlers, raising = root.level, list(root.handlers), logging.raiseExceptions
    try:
        yield
    finally:
        for name in _our_loggers():
            logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
        root.setLevel(level)
        root.handlers, logging.raiseExceptions = handlers, raising


def _our_loggers() -> list[str]:
    """The gateway's and its plugins', as far as there are any yet."""
    return [name for name in logging.root.manager.loggerDict if name.startswith("dicomgate")]
