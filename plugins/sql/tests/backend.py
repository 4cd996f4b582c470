"""A database with the table `users`, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dicomgate_sql import Sql

TABLE = "CREATE TABLE users (name TEXT, hash TEXT, groups TEXT, disabled BOOLEAN)"
SELECT = "SELECT name, hash, groups, disabled FROM users WHERE name = :name"
UPDATE = "UPDATE users SET hash = :hash WHERE name = :name AND hash = :old_hash"


@dataclass
class Backend:
    """A database with the table `users`, and what the authenticator is given for it."""

    execute: Callable[[str], str]
    """Execute as the database's owner; what a single value is, in text."""

    options: dict[str, Any]

    def make(self, **options: Any) -> Sql:
        return Sql(**{**self.options, **options})

    def put(self, name: str, text: str | None, groups: str | None = None, disabled: bool | None = None) -> None:
        values = [_literal(name), _literal(text), _literal(groups), "NULL" if disabled is None else str(disabled)]
        self.execute(f"INSERT INTO users VALUES ({', '.join(values)})")  # noqa: S608

    def hash_of(self, name: str) -> str:
        return self.execute(f"SELECT hash FROM users WHERE name = {_literal(name)}")  # noqa: S608


def _literal(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"
