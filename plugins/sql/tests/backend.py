"""A database with the table `users`, and logins that are held to the authenticator's deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from dicomgate import Accept, Attempt, Decision, Unavailable
from dicomgate.testing import attempt, passcode
from dicomgate_passcode import Cost, make_hash, read_cost
from dicomgate_sql import Sql

TABLE = "CREATE TABLE users (name TEXT, hash TEXT, groups TEXT, disabled BOOLEAN)"
SELECT = "SELECT name, hash, groups, disabled FROM users WHERE name = :name"
UPDATE = "UPDATE users SET hash = :hash WHERE name = :name AND hash = :old_hash"

GOOD = attempt(passcode("alice", "secret"))
ALICE = Accept(user="alice")
TIMEOUT = 1.5
"""Seconds; the `database_timeout` of the tests about databases that fail."""

SLACK = 1.0


# The cheapest parameters of each scheme: these tests are about what is decided, not about what it costs.
CHEAP = {"argon2id": Cost("argon2id", 1, memory_kib=8, lanes=1), "bcrypt": Cost("bcrypt", 4)}


@cache
def cheap_hash(secret: bytes = b"secret", scheme: str = "argon2id") -> str:
    """A hash with the cheapest parameters of the scheme."""
    return make_hash(secret, CHEAP[scheme])


@dataclass
class Backend:
    """A database with the table `users`, and what the authenticator is given for it."""

    execute: Callable[[str], str]
    """Execute as the database's owner; returns a single value as text."""

    options: dict[str, Any]

    def make(self, **options: Any) -> Sql:
        return Sql(**{**self.options, **options})

    def put(self, name: str, text: str | None, groups: str | None = None, disabled: bool | None = None) -> None:
        values = [_literal(name), _literal(text), _literal(groups), "NULL" if disabled is None else str(disabled)]
        self.execute(f"INSERT INTO users VALUES ({', '.join(values)})")  # noqa: S608

    def hash_of(self, name: str) -> str:
        return self.execute(f"SELECT hash FROM users WHERE name = {_literal(name)}")  # noqa: S608

    def is_outdated(self, name: str) -> bool:
        cost = read_cost(self.hash_of(name))
        assert cost is not None
        return cost.outdated


def _literal(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


async def answers(sql: Sql, *logins: tuple[str | bytes, bytes]) -> list[Decision]:
    """Enter the authenticator, log in with these names and passcodes one after the other, and leave it."""
    async with sql:
        return [await sql.authenticate(attempt(passcode(*login))) for login in logins]


async def in_time(sql: Sql, asked: Attempt = GOOD) -> Decision:
    start = time.monotonic()
    decision = await sql.authenticate(asked)
    assert time.monotonic() - start < TIMEOUT + SLACK
    return decision


async def unavailable(sql: Sql, why: str) -> None:
    decision = await in_time(sql)
    assert isinstance(decision, Unavailable)
    assert why in decision.reason, decision.reason


async def recovered(sql: Sql) -> None:
    """It may take a moment: connections that hung are given up in the background."""
    end = time.monotonic() + 20
    while await in_time(sql) != ALICE:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
