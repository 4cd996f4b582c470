"""How a command fails: one line on standard error, and its exit status."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from ..errors import ConfigError, NegativeAnswer, StartError

NO, WRONG, CANNOT = 1, 2, 3
"""Exit statuses: the answer is no; wrong usage or configuration; the machine or the network prevents it."""


@contextmanager
def errors_on_stderr() -> Iterator[None]:
    """Turn the errors that are raised on purpose into lines on standard error and an exit status."""
    try:
        yield
    except NegativeAnswer as error:
        _end(error, NO)
    except ConfigError as error:
        _end(error, WRONG)
    except StartError as error:
        _end(error, CANNOT)


def abandon(status: int) -> NoReturn:
    """End the process although something in it hangs: flush the log and the output, and wait for nothing."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end(error: Exception, status: int) -> None:
    typer.echo(str(error), err=True)
    raise typer.Exit(status) from None
