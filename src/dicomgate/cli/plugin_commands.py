"""What a plugin's commands import: what is configured, and how a command speaks and ends.

An entry point of the group `dicomgate.commands` is a `typer.Typer`; `dicomgate NAME` runs it. What it raises ends it
with one line for each problem: NegativeAnswer with exit status 1, ConfigError with 2, StartError with 3.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..auth import loading as discovery
from ..config.load import load
from ..contract import Authenticator
from ..errors import ConfigError, NegativeAnswer, Problem
from ..net.tls import read_certificate
from .decision_text import conclude, in_words
from .output import print_table
from .serve import DEFAULT_CONFIG, ConfigOption

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
]

_MOST_READ = 1_048_576


def authenticators(config: Path, use: str) -> dict[str, Authenticator]:
    """The configured authenticators of this `use`, by name and in their order, made as the gateway makes them.

    None of the others is made. Raises ConfigError with all that is wrong, each with file, line and key.
    """
    configuration = load(config)
    made: dict[str, Authenticator] = {}
    problems: list[Problem] = []
    for index, table in enumerate(configuration.tables.authenticator):
        if table.use == use:
            try:
                made[table.title] = discovery.make(use, table.options, configuration.folder)
            except ConfigError as error:
                problems += configuration.located(error, "authenticator", index).problems
    if problems:
        raise ConfigError(problems)
    if not made:
        raise ConfigError(f'{config}: no [[authenticator]] with use = "{use}"')
    return made


def read_input(name: str) -> bytes:
    """What a credential's file holds; "-" is standard input. At most a mebibyte. Raises ConfigError."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(_MOST_READ)
        with Path(name).open("rb") as file:
            return file.read(_MOST_READ)
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror or error}") from None
