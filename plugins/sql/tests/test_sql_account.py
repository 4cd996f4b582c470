from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from dicomgate_sql.account import Account, column_problem, read_account
from plugins.sql.tests.backend import cheap_hash


def _account(*rows: Mapping[str, object]) -> Account:
    account = read_account("alice", rows)
    assert account is not None
    return account


def test_a_row_is_a_user() -> None:
    text = cheap_hash()
    account = read_account("ALICE", [{"name": "alice", "hash": text, "groups": "a, b ,,c", "disabled": None}])
    assert account is not None
    assert (account.name, account.hash, account.groups) == ("alice", text, frozenset({"a", "b", "c"}))
    assert account.cost is not None
    assert account.problem == ""
    assert text not in repr(account)


def test_without_a_column_for_it_the_name_is_the_one_that_was_asked_for() -> None:
    account = _account({"hash": cheap_hash()})
    assert account.name == "alice"
    assert account.groups == frozenset()
    assert read_account("alice", []) is None


def test_groups_in_several_rows() -> None:
    account = _account(*({"name": "alice", "hash": cheap_hash(), "groups": group} for group in ("a", "b", None, "b")))
    assert account.groups == {"a", "b"}


@pytest.mark.parametrize(
    ("groups", "read"),
    [
        (None, set()),
        ("", set()),
        (" , ", set()),
        ("one", {"one"}),
        ("one,two", {"one", "two"}),
        (" one , two words ,", {"one", "two words"}),
        ('["one", "a, b"]', {"one", "a, b"}),
        (' ["one"]', {"one"}),
        ("[]", set()),
        (["one", "two"], {"one", "two"}),
        ([], set()),
    ],
)
def test_groups(groups: object, read: set[str]) -> None:
    account = _account({"hash": cheap_hash(), "groups": groups})
    assert account.groups == read
    assert account.cost is not None


@pytest.mark.parametrize("groups", ["[", '["one"', "[1]", '["one", null]', "[" * 100_000, 7, {"one": 1}, [1], b"one"])
def test_groups_that_cannot_be_understood_reject_the_user(groups: object) -> None:
    account = _account({"hash": cheap_hash(), "groups": groups})
    assert account.cost is None
    assert "groups" in account.problem


@pytest.mark.parametrize("flag", [None, False, 0, 0.0, "", " ", "0", "f", "F", "false", "FALSE", "n", "no", " No "])
def test_not_disabled(flag: object) -> None:
    account = _account({"hash": cheap_hash(), "disabled": flag})
    assert account.cost is not None


@pytest.mark.parametrize("flag", [True, 1, -1, "1", "t", "true", "yes", "x", "2026-01-01", datetime.now(UTC), b"\0"])
def test_disabled(flag: object) -> None:
    text = cheap_hash()
    for rows in ([{"hash": text, "disabled": flag}], [{"hash": text, "disabled": 0}, {"hash": text, "disabled": flag}]):
        assert read_account("alice", rows) == Account("alice", problem="disabled")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no hash"),
        ("", "no hash"),
        (b"$argon2id$", "no hash"),
        (7, "no hash"),
        ("secret", "no readable hash"),
        ("!", "disabled"),
        ("$apr1$salt$" + "a" * 22, "no readable hash"),
        ("$argon2id$v=19$m=8,t=1,p=1$", "damaged"),
        ("$2b$16$" + "a" * 53, "too expensive|damaged"),
    ],
)
def test_a_hash_that_cannot_be_read_rejects_the_user(text: object, problem: str) -> None:
    account = _account({"hash": text})
    assert account.cost is None
    assert account.hash == ""
    assert re.search(problem, account.problem)


@pytest.mark.parametrize("name", [None, "", 7, b"alice", "al\nice", "alice\0", "\u202ealice"])
def test_a_name_that_is_no_text_rejects_the_user(name: object) -> None:
    account = _account({"name": name, "hash": cheap_hash()})
    assert account.cost is None
    assert account.name == "alice"


def test_several_users_of_one_name_cannot_log_in() -> None:
    one, other = cheap_hash(), cheap_hash(b"other")
    several: list[list[dict[str, object]]] = [
        [{"name": "alice", "hash": one}, {"name": "Alice", "hash": one}],
        [{"name": "alice", "hash": one}, {"name": "alice", "hash": other}],
        [{"hash": one}, {"hash": None}],
    ]
    for rows in several:
        assert read_account("alice", rows) == Account("alice", problem="the database has several users of this name")


@pytest.mark.parametrize("columns", [("hash",), ("name", "hash"), ("disabled", "groups", "hash", "name")])
def test_columns(columns: tuple[str, ...]) -> None:
    assert column_problem(columns) == ""


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ((), "no column hash"),
        (("name", "groups"), "no column hash"),
        (("HASH",), "no column hash"),
        (("hash", "is_disabled", "extra"), "unknown columns: extra, is_disabled; known are: name, hash, groups"),
        (("hash", "name", "name"), "column name twice"),
    ],
)
def test_columns_that_are_no_answer(columns: tuple[str, ...], problem: str) -> None:
    assert problem in column_problem(columns)
