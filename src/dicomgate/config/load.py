"""One TOML file -> checked tables. All problems are told at once, with file, line, table and key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import ValidationError

from ..auth.loading import describe_problems
from ..errors import ConfigError, Problem
from .checks import contradictions
from .positions import line_of
from .schema import Tables, known_keys

_TOML_PLACE = re.compile(r"(.*) \(at line ([0-9]+), (column [0-9]+)\)", re.DOTALL)


class Configuration:
    """A configuration file that was read: its tables, and where its relative paths begin."""

    def __init__(self, path: Path, text: str, tables: Tables) -> None:
        self.path = path
        self.folder = path.absolute().parent
        self.tables = tables
        self._text = text

    def located(self, error: ConfigError, *keys: str | int) -> ConfigError:
        """The same problems, found in the table at `keys`, with file, line and key in front of each."""
        return ConfigError([_located(self.path, self._text, (*keys, *found), why) for found, why in error.problems])


def load(path: Path, schema: type[Tables] = Tables) -> Configuration:
    """Read and check a configuration file. Raises ConfigError with all that is wrong in it."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}{_not_toml(error)}") from error
    try:
        tables = schema.model_validate(data)
    except ValidationError as error:
        found = describe_problems(error, known_keys)
        raise ConfigError([_located(path, text, keys, message) for keys, message in found]) from error
    problems = [_located(path, text, keys, message) for keys, message in contradictions(tables)]
    if problems:
        raise ConfigError(problems)
    return Configuration(path, text, tables)


def _not_toml(error: Exception) -> str:
    place = _TOML_PLACE.fullmatch(str(error))
    return f":{place[2]}: not TOML: {place[1]} ({place[3]})" if place else f": not TOML: {error}"


def _located(path: Path, text: str, keys: tuple[str | int, ...], message: str) -> Problem:
    name = ".".join(f"[{key}]" if isinstance(key, int) else key for key in keys).replace(".[", "[")
    return Problem((), f"{path}:{line_of(text, keys)}: {name}: {message}" if keys else f"{path}: {message}")
