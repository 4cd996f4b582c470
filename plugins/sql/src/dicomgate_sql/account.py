"""The rows of an answer -> one user.

Rule 1: a column is known by its name, and none is ignored: one that was meant to disable users must not be overlooked.
Rule 2: rows may differ in their groups alone. Several users for one name are nobody.
Rule 3: what cannot be understood lets nobody in. No message holds a hash.
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
    """One user. `problem` says why the user cannot log in, whatever the passcode; `cost` is then None."""

    name: str
    hash: str = field(default="", repr=False)
    cost: Cost | None = None
    groups: frozenset[str] = frozenset()
    problem: str = ""


def column_problem(columns: Sequence[str]) -> str:
    """Why an answer with these columns is no answer; empty if it is one."""
    if "hash" not in columns:
        return "the answer has no column hash"
    if unknown := sorted(set(columns) - set(COLUMNS)):
        return f"the answer has unknown columns: {', '.join(unknown)}; known are: {', '.join(COLUMNS)}"
    twice = [column for column, count in Counter(columns).items() if count > 1]
    return f"the answer has the column {twice[0]} twice" if twice else ""


def read_account(asked: str, rows: Sequence[Mapping[str, object]]) -> Account | None:
    """The user of these rows, who was asked for by this name; None if there are no rows."""
    if not rows:
        return None
    try:
        return _read(asked, rows)
    except ValueError as error:
        return Account(asked, problem=str(error))


def _read(asked: str, rows: Sequence[Mapping[str, object]]) -> Account:
    first = rows[0]
    name, text = first.get("name", asked), first["hash"]
    if any(row.get("name", asked) != name or row["hash"] != text for row in rows):
        raise ValueError("the name stands for several users")
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
    """True unless the flag says no in one of the ways that databases have for it; NULL is no."""
    return flag.strip().lower() not in _NO if isinstance(flag, str) else flag is not None and flag != 0


def _groups(value: object) -> list[str]:
    """One column of one row: nothing, text with commas, a JSON array, or an array of the database's own."""
    if value is None:
        return []
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return [group for part in value.split(",") if (group := part.strip())]
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("the groups begin like a JSON array, and are none") from None
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        raise ValueError("the groups are neither text nor an array of texts")
    return value
