"""One TOML file -> checked tables. Reports all problems at once, each with file, line, table and key."""

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

_TOML_POSITION = re.compile(r"(.*) \(at line ([0-9]+), (column [0-9]+)\)", re.DOTALL)


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
    position = _TOML_POSITION.fullmatch(str(error))
    return f":{position[2]}: not TOML: {position[1]} ({position[3]})" if position else f": not TOML: {error}"


def _located(path: Path, text: str, keys: tuple[str | int, ...], message: str) -> Problem:
    name = ".".join(f"[{key}]" if isinstance(key, int) else key for key in keys).replace(".[", "[")
    return Problem((), f"{path}:{line_of(text, keys)}: {name}: {message}" if keys else f"{path}: {message}")
