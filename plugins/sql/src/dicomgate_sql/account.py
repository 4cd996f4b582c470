"""The rows of an answer -> one user.

Rule 1: a column is known by its name, and none is ignored: one that should disable users must not be overlooked.
Rule 2: rows may differ only in their groups. If one name finds several users, none of them can log in.
Rule 3: a user whose row cannot be understood cannot log in. No message contains a hash.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dicomgate_passcode import Cost, read_cost

COLUMNS = ("name", "hash", "groups", "disabled")
_NO = frozenset({"", "0", "f", "false", "n", "no"})


@dataclass(frozen=True, slots=True)
class Account:
    """One user. If the user cannot log in at all, `problem` says why, and `cost` is None."""

    name: str
    hash: str = field(default="", repr=False)
    cost: Cost | None = None
    groups: frozenset[str] = frozenset()
    problem: str = ""


def column_problem(columns: Sequence[str]) -> str:
    """What is wrong with these columns; empty if nothing is."""
    if "hash" not in columns:
        return "the answer has no column hash"
    if unknown := sorted(set(columns) - set(COLUMNS)):
        return f"the answer has unknown columns: {', '.join(unknown)}; known are: {', '.join(COLUMNS)}"
    twice = [column for column, count in Counter(columns).items() if count > 1]
    return f"the answer has the column {twice[0]} twice" if twice else ""


def read_account(asked: str, rows: Sequence[Mapping[str, object]]) -> Account | None:
    """The user of these rows, who was asked for by the name `asked`; None if there are no rows."""
    if not rows:
        return None
    try:
        return _read(asked, rows)
    except ValueError as error:
        return Account(asked, problem=str(error))


def refusal_of(account: Account | None, user: str | None = None) -> str:
    """Why nobody can log in as this user, who is called `user` if that is given; "" if somebody can."""
    if account is None:
        return "unknown user"
    if account.cost is None:
        return f"the user cannot log in: {account.problem}"
    return "" if user in (None, account.name) else f"the name is now that of {account.name!r}"


def _read(asked: str, rows: Sequence[Mapping[str, object]]) -> Account:
    first = rows[0]
    name, text = first.get("name", asked), first["hash"]
    if any(row.get("name", asked) != name or row["hash"] != text for row in rows):
        raise ValueError("the database has several users of this name")
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ValueError("the name in the database is no printable text")
    if any(_is_set(row.get("disabled")) for row in rows):
        raise ValueError("disabled")
    if not isinstance(text, str) or not text:
        raise ValueError("the user has no hash, or one that is no text")
    cost = read_cost(text)
    if cost is None:
        raise ValueError("disabled, or no readable hash")
    groups = frozenset(group for row in rows for group in _groups(row.get("groups")))
    return Account(name, text, cost, groups)


def _is_set(flag: object) -> bool:
    """True unless the flag is one of the forms of "no" that databases have; NULL is "no"."""
    return flag.strip().lower() not in _NO if isinstance(flag, str) else flag is not None and flag != 0


def _groups(value: object) -> list[str]:
    """The groups of one row: NULL, text with commas, a JSON array, or an array of the database."""
    if value is None:
        return []
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return [group for part in value.split(",") if (group := part.strip())]
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("the groups begin like a JSON array, but are not one") from None
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        raise ValueError("the groups are neither text nor an array of texts")
    return value
