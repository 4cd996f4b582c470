"""One TOML file -> checked tables. Reports all problems at once, each with file, line, table and key."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from ..auth.problems import describe_problems
from ..errors import ConfigError, Problem
from ..kit.files import read_with_mode
from ..kit.text import read_text
from .checks import contradictions, open_secrets
from .positions import line_of
from .schema import Tables, known_keys
from .toml_errors import describe

LARGEST = 1_048_576
"""Bytes of a configuration file."""


class Configuration:
    """A configuration file that was read: its tables, and the folder that its relative paths start from."""

    def __init__(self, path: Path, text: str, tables: Tables) -> None:
        self.path = path
        self.folder = path.absolute().parent
        self.tables = tables
        self._text = text

    def located(self, error: ConfigError, *keys: str | int) -> ConfigError:
        """The same problems, with file, line and key in front of each; `keys` is the path of their table."""
        return ConfigError([_located(self.path, self._text, (*keys, *found), why) for found, why in error.problems])


def load(path: Path, schema: type[Tables] = Tables) -> Configuration:
    """Read and check a configuration file. Raises ConfigError with every problem in it."""
    text, mode = _read(path)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        number, why = describe(error, text)
        raise ConfigError(f"{path}: {why}" if number is None else f"{path}:{number}: {why}") from error
    try:
        tables = schema.model_validate(data)
    except ValidationError as error:
        found = describe_problems(error, data, known_keys)
        raise ConfigError([_located(path, text, keys, _in_full(keys, message)) for keys, message in found]) from error
    found = [*contradictions(tables), *open_secrets(tables, mode)]
    problems = [_located(path, text, keys, message) for keys, message in found]
    if problems:
        raise ConfigError(problems)
    return Configuration(path, text, tables)


def _read(path: Path) -> tuple[str, int]:
    """The text of the file and its mode."""
    try:
        data, mode = read_with_mode(path, LARGEST)
    except ConfigError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            how = "--config names another one, and `dicomgate init` writes a first one"
            raise ConfigError(f"{path}: cannot be read: there is no such file; {how}") from error
        raise
    try:
        return read_text(data), mode
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _in_full(keys: tuple[str | int, ...], message: str) -> str:
    """A table that is missing is not simply a key."""
    return (
        f"{message}: write at least one [[{keys[0]}]] table" if len(keys) == 1 and message == "is missing" else message
    )


def _located(path: Path, text: str, keys: tuple[str | int, ...], message: str) -> Problem:
    name = ".".join(f"[{key}]" if isinstance(key, int) else key for key in keys).replace(".[", "[")
    return Problem((), f"{path}:{line_of(text, keys)}: {name}: {message}" if keys else f"{path}: {message}")
