"""The operator's statements, checked before any database is asked.

Rule 1: the username is a parameter. Nothing is ever formatted into a statement.
Rule 2: a statement has exactly the parameters that it is given.
Rule 3: one statement. Anything after a semicolon is refused here, not left to the database.
"""

from __future__ import annotations

import re
from typing import Literal

from sqlalchemy import TextClause, text

from dicomgate import ConfigError

PARAMETERS = {"select": frozenset({"name"}), "update": frozenset({"name", "hash", "old_hash"})}
"""Without `old_hash`, a login could overwrite a passcode that was changed a moment ago."""

# Text in quotes, and comments: a colon in them is no parameter, and a semicolon ends no statement.
_QUIET = re.compile(r"""'[^']*'|"[^"]*"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$""", re.DOTALL)


def statement(key: Literal["select", "update"], source: str) -> TextClause:
    """The statement that asks for a user, or the one that renews a hash. Raises ConfigError."""
    expected, verb = PARAMETERS[key], key.upper()
    source = source.strip().removesuffix(";")
    bare = _QUIET.sub(" ", source)
    words = bare.split()
    if not words or words[0].upper() not in (verb, "WITH"):
        raise ConfigError(f"{key}: must begin with {verb} or WITH")
    if ";" in bare:
        raise ConfigError(f"{key}: must be one statement, and has a semicolon in it")
    found, meant = _parameters(source), _parameters(bare)
    if found != meant:
        raise ConfigError(f"{key}: {_listed(found - meant)} is in quotes or in a comment: there it is no parameter")
    if missing := expected - found:
        raise ConfigError(
            f"{key}: has no parameter {_listed(missing)}. Nothing is ever formatted into a statement: write :name, "
            "without quotes, not {name}, %s, ? or $1; and CAST(:name AS text), not :name::text"
        )
    if unknown := found - expected:
        raise ConfigError(f"{key}: has unknown parameters: {_listed(unknown)}; known are: {_listed(expected)}")
    return text(source)


def _parameters(source: str) -> set[str]:
    return set(text(source).compile().params)


def _listed(names: set[str] | frozenset[str]) -> str:
    return ", ".join(f":{name}" for name in sorted(names))
