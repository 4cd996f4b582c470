"""Ask the authenticator for alice, and hold it to its deadline."""

from __future__ import annotations

import asyncio
import time

from dicomgate import Accept, Attempt, Decision, Unavailable
from dicomgate.testing import attempt, passcode
from dicomgate_sql import Sql

GOOD = attempt(passcode("alice", "secret"))
ALICE = Accept(user="alice")
PATIENCE = 0.5
"""Seconds; what the databases of these tests are given for an answer."""

SLACK = 1.0


async def in_time(sql: Sql, asked: Attempt = GOOD) -> Decision:
    start = time.monotonic()
    decision = await sql.authenticate(asked)
    assert time.monotonic() - start < PATIENCE + SLACK
    return decision


async def could_not_look(sql: Sql, why: str) -> None:
    decision = await in_time(sql)
    assert isinstance(decision, Unavailable)
    assert why in decision.reason, decision.reason


async def recovered(sql: Sql) -> None:
    """It may take a moment: connections that hung are given up behind the scenes."""
    end = time.monotonic() + 20
    while await in_time(sql) != ALICE:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
