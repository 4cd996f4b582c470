"""`dicomgate doctor`: all that support needs to know, on one page and without a secret.

Rule 1: no content of a file with a secret, no passcode, no token, and no name of a user: the page leaves the hospital.
Rule 2: what cannot be found out is told in its place, and the rest of the page is made.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..config.load import load
from ..errors import ConfigError, DicomgateError, StartError, place
from ..kit.text import one_line
from ..run.assembly import Assembly, assemble
from ..run.rehearsal import rehearsed
from .as_user import become
from .check import describe
from .masked import masked
from .options import DEFAULT_CONFIG, ConfigOption
from .surroundings import certificates, files, limits, refusals, state, versions

_MODE = 0o600


def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the page to this new file.")] = None,
    user: Annotated[
        str | None, typer.Option(help="As root: look as this user; default: dicomgate, if there is one.")
    ] = None,
) -> None:
    """Print all that support needs to know, without a secret: versions, configuration, files, state, refusals.

    Exit status: 0 printed, whatever is wrong, 2 wrong usage, 3 the file cannot
    be written.
    """
    file = None if output is None else _new(output)  # before this process becomes somebody else
    try:
        name = become(user)
    except ConfigError:
        if output is not None:
            output.unlink()
        raise
    logging.disable(logging.CRITICAL)
    try:
        page = "\n".join(_page(config, name)) + "\n"
    finally:
        logging.disable(logging.NOTSET)
    typer.echo(page, nl=False)
    if file is not None:
        with os.fdopen(file, "w", encoding="utf-8", errors="backslashreplace") as written:
            written.write(page)


def _new(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    except FileExistsError:
        raise ConfigError(f"{path}: exists already, and stays as it is") from None
    except OSError as error:
        raise StartError(f"{path}: cannot be written: {error.strerror}") from error


def _page(path: Path, user: str | None) -> Iterator[str]:
    yield f"dicomgate doctor, {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}, as user {user or os.geteuid()}"
    yield from _section("Versions", versions)
    yield from _section("Limits of the system", limits)
    made: list[Assembly] = []

    def check() -> Iterator[str]:
        made.append(assemble(path))
        yield from describe(made[0])
        yield from (f"warning: {warning}" for warning in made[0].warnings)
        yield from asyncio.run(_busy(made[0]))

    yield from _section("Configuration", lambda: masked(load(path).tables))
    yield from _section("Check", check)
    for title, tell in (
        ("Files", files), ("Certificates", certificates), ("State", state), ("The last refusals", refusals),
    ):  # fmt: skip
        yield from _section(title, lambda tell=tell: tell(load(path)))  # type: ignore[misc]


async def _busy(assembly: Assembly) -> list[str]:
    async with rehearsed(assembly) as busy:
        return busy


def _section(title: str, tell: Callable[[], Iterable[str]]) -> Iterator[str]:
    """A heading and what is told under it; where that fails, why."""
    yield f"\n## {title}\n"
    told = False
    try:
        for line in tell():
            told = True
            yield one_line(line)
    except DicomgateError as error:
        yield from (one_line(f"problem: {line}") for line in str(error).splitlines())
    except OSError as error:
        yield one_line(f"problem: {error.filename or ''}: {error.strerror or type(error).__name__}")
    except Exception as error:  # noqa: BLE001 (a defect; the rest of the page is made)
        yield f"a defect: {place(error)}"
    else:
        if not told:
            yield "none"
