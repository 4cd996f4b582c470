from __future__ import annotations

import pytest

from dicomgate import ConfigError
from dicomgate_sql.statement import statement

SELECT = "SELECT hash FROM users WHERE name = :name"
UPDATE = "UPDATE users SET hash = :hash WHERE name = :name AND hash = :old_hash"


@pytest.mark.parametrize(
    "source",
    [
        SELECT,
        f"  {SELECT} ;\n",
        "select hash from users where name = :name",
        "WITH active AS (SELECT * FROM users) SELECT hash FROM active WHERE name = :name",
        "SELECT hash FROM users WHERE name = CAST(:name AS text) AND kind = 'a;b -- c'::text OR name = :name",
        "SELECT hash, 'it''s; fine' AS groups FROM users -- who; nothing\nWHERE name = :name",
        'SELECT "h;a:sh" AS hash FROM users /* one; two */ WHERE name = :name',
        "SELECT hash FROM users WHERE name = :name AND note LIKE '100%' AND tags ? 'a' AND body = '{}'",
    ],
)
def test_lawful(source: str) -> None:
    assert set(statement("select", source).compile().params) == {"name"}


@pytest.mark.parametrize("source", [UPDATE, f"WITH one AS (SELECT 1) {UPDATE}"])
def test_lawful_update(source: str) -> None:
    assert set(statement("update", source).compile().params) == {"name", "hash", "old_hash"}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("", "must begin with SELECT"),
        (";", "must begin with SELECT"),
        ("-- nothing", "must begin with SELECT"),
        ("DELETE FROM users WHERE name = :name", "must begin with SELECT"),
        ("UPDATE users SET hash = '' WHERE name = :name", "must begin with SELECT"),
        ("SELECTED", "must begin with SELECT"),
        ("SELECT hash FROM users", "no parameter :name"),
        ("SELECT hash FROM users WHERE name = '{name}'", "no parameter :name"),
        ("SELECT hash FROM users WHERE name = '%s'", "no parameter :name"),
        ("SELECT hash FROM users WHERE name = %(name)s", "no parameter :name"),
        ("SELECT hash FROM users WHERE name = ?", "no parameter :name"),
        ("SELECT hash FROM users WHERE name = $1", "no parameter :name"),
        ("SELECT hash FROM users WHERE name = :name::text", "no parameter :name"),
        ("SELECT hash FROM users WHERE name = ':name'", "in quotes or in a comment"),
        ("SELECT hash FROM users -- WHERE name = :name", "in quotes or in a comment"),
        (f"{SELECT} AND kind = ':kind'", ":kind is in quotes"),
        ("SELECT hash FROM users WHERE name = :user", "no parameter :name"),
        (f"{SELECT} AND realm = :realm", "unknown parameters: :realm; known are: :name"),
        (f"{SELECT}; DROP TABLE users", "one statement"),
        (f"{SELECT};;", "one statement"),
        (f"{SELECT}; -- the end", "one statement"),
    ],
)
def test_unlawful(source: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as wrong:
        statement("select", source)
    assert str(wrong.value).startswith("select: ")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (SELECT, "must begin with UPDATE"),
        ("UPDATE users SET hash = :hash WHERE name = :name", "no parameter :old_hash"),
        ("UPDATE users SET hash = :hash", "no parameter :name, :old_hash"),
        (f"{UPDATE} AND who = :passcode", "unknown parameters: :passcode"),
        (f"{UPDATE}; COMMIT", "one statement"),
    ],
)
def test_unlawful_update(source: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as wrong:
        statement("update", source)
    assert str(wrong.value).startswith("update: ")
