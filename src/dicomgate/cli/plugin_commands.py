"""What a plugin's commands import: what is configured, and how a command speaks and ends.

An entry point of the group `dicomgate.commands` is a `typer.Typer`; `dicomgate NAME` runs it. What it raises ends it
with one line for each problem: NegativeAnswer with exit status 1, ConfigError with 2, StartError with 3.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..auth import loading
from ..config.load import Configuration, load
from ..config.schema import EmbeddedTables
from ..contract import Authenticator
from ..errors import ConfigError, NegativeAnswer, Problem
from ..net.tls import read_certificate
from .decision_text import conclude, in_words
from .options import DEFAULT_CONFIG, ConfigOption
from .output import print_table

__all__ = [
    "DEFAULT_CONFIG",
    "ConfigOption",
    "NegativeAnswer",
    "authenticators",
    "conclude",
    "in_words",
    "print_table",
    "read_certificate",
    "read_input",
    "tables",
]

T = TypeVar("T")

_MOST_READ = 1_048_576


def authenticators(config: Path, use: str) -> dict[str, Authenticator]:
    """The configured authenticators of this `use`, by name and in their order, made as the gateway makes them.

    None of the others is made. Raises ConfigError with all that is wrong, each with file, line and key.
    """
    return _each(load(config), use, loading.make)


def tables(config: Path, use: str) -> dict[str, dict[str, Any]]:
    """The options of the configured authenticators of this `use`, by name, checked and converted; nothing is made.

    For a command that makes what an authenticator needs. The file may also be one of a program that opens its own port.
    Raises ConfigError with all that is wrong, each with file, line and key.
    """
    return _each(load(config, EmbeddedTables), use, loading.read_options)


_Read = Callable[[str, Mapping[str, object], Path], T]


def _each(configuration: Configuration, use: str, read: _Read[T]) -> dict[str, T]:
    found: dict[str, T] = {}
    problems: list[Problem] = []
    for index, table in enumerate(configuration.tables.authenticator):
        if table.use == use:
            try:
                found[table.title] = read(use, table.options, configuration.folder)
            except ConfigError as error:
                problems += configuration.located(error, "authenticator", index).problems
    if problems:
        raise ConfigError(problems)
    if not found:
        raise ConfigError(f'{configuration.path}: no [[authenticator]] with use = "{use}"')
    return found


def read_input(name: str, longest: int = _MOST_READ) -> bytes:
    """The first `longest` bytes of a file, a mebibyte by default; "-" is standard input. Raises ConfigError."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(longest)
        with Path(name).open("rb") as file:
            return file.read(longest)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror or error}") from None
