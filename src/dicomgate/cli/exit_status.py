"""How a command fails: one line on standard error, and its exit status.

Rule: no command ends in a traceback. What was raised on purpose says what to do. What the system refuses is told with
the file. Of anything else, a defect, type and place are told, never the words: they may hold a secret.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import typer

from ..errors import ConfigError, DicomgateError, NegativeAnswer, place
from ..kit.text import one_line

NO, WRONG, CANNOT = 1, 2, 3
"""Exit statuses: the answer is no; wrong usage or configuration; the machine or the network prevents it."""
INTERRUPTED = 130
"""As of a program that SIGINT ended, in a shell. Ctrl-C is no answer."""


@contextmanager
def errors_on_stderr() -> Iterator[None]:
    """Turn whatever is raised into lines on standard error and an exit status."""
    try:
        yield
    except NegativeAnswer as error:
        _end(str(error), NO)
    except ConfigError as error:
        _end(str(error), WRONG)
    except DicomgateError as error:
        _end(str(error), CANNOT)
    except BrokenPipeError:
        raise typer.Exit(CANNOT) from None  # who reads our output has gone: there is nobody to tell
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich makes that of it
            raise typer.Exit(CANNOT) from None
        raise
    except OSError as error:
        _end(_of_the_system(error), CANNOT)
    except (KeyboardInterrupt, typer.Abort):
        _end("interrupted", INTERRUPTED)
    except Exception as error:
        if hasattr(error, "exit_code"):
            raise  # typer's own: wrong usage, or an exit
        _end(f"a defect of dicomgate: {place(error)}; please report it", CANNOT)


def abandon(status: int) -> NoReturn:
    """End the process although something in it hangs: flush the log and the output, and wait for nothing."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _of_the_system(error: OSError) -> str:
    what = error.strerror or type(error).__name__
    return f"{one_line(os.fsdecode(error.filename))}: {what}" if isinstance(error.filename, str | bytes) else what


def _end(text: str, status: int) -> NoReturn:
    with suppress(OSError):
        typer.echo(text, err=True)
    raise typer.Exit(status) from None
