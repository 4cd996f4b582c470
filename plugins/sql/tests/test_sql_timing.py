from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from dicomgate import Decision, Reject
from dicomgate.testing import attempt, passcode
from dicomgate.testing.timing import Question, measure, timed
from dicomgate_passcode import Cost, make_hash
from dicomgate_sql import Sql
from plugins.sql.tests.backend import Backend

DEAR = Cost("argon2id", 3, memory_kib=40 * 1024, lanes=1)
"""Three times what a dummy hash costs that has learnt nothing."""


@pytest.fixture(autouse=True)
def _cheap_dummies() -> None:
    """Instead of conftest's: here it is about what it costs."""


def test_the_time_of_an_answer_tells_nothing(sqlite_backend: Backend) -> None:
    """So few attempts show what is told at a glance; floor and dummy hashes are counted in test_sql_authenticator."""
    sqlite_backend.put("alice", make_hash(b"secret", DEAR))
    sqlite_backend.put("bert", make_hash(b"secret", DEAR), disabled=True)
    sqlite_backend.put("carl", None)
    sql = sqlite_backend.make(database_timeout=timedelta(seconds=20))
    with asyncio.Runner() as runner:
        runner.run(sql.__aenter__())
        names = ("alice", "bert", "carl", "zoe")
        measured = measure({name: wrong(runner, sql, name) for name in names}, each=15, warm_up=3)
        runner.run(sql.__aexit__())
    assert all(isinstance(answer, Reject) for answers in measured.answers.values() for answer in answers)
    compared = measured.comparisons(confidence=0.999)
    assert [str(comparison) for comparison in compared if not comparison.by_chance] == []


def wrong(runner: asyncio.Runner, sql: Sql, name: str) -> Question[Decision]:
    return timed(lambda: runner.run(sql.authenticate(attempt(passcode(name, b"wrong")))))
