"""One of several processes that share a state: `python worker.py PATH|- URL|- ACTION NUMBER`.

It opens the state, says `ready`, waits for a line and acts; then it says what came of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicomgate.state.protocol import Backoff, Limits, SharedState
from dicomgate.state.redis import RedisState
from dicomgate.state.sqlite import SqliteState

PATIENT = Limits(deadline=20)  # this machine may be busy
SOON = datetime.now(UTC) + timedelta(hours=1)


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def backoffs(free: int) -> Sequence[Backoff]:
    """Two counters: the first lets so many through, the second all."""
    return Backoff("account:alice", free, 600, 3600), Backoff("source:10.0.0.7", 1000, 1, 1)


async def use(state: SharedState, number: int) -> None:
    """Use one key so many times at once: how often that was the first use."""
    answers = await asyncio.gather(*(state.first_use("ticket", SOON) for _ in range(number)))
    say(sum(answers))


async def take(state: SharedState, number: int) -> None:
    """Make so many attempts at once of which 7 in all may go ahead: how many did."""
    answers = await asyncio.gather(*(state.take("alice", (), backoffs(7)) for _ in range(number)))
    say(sum(not answer.held for answer in answers))


async def write(state: SharedState, number: int) -> None:
    """Count and use keys until killed, each told behind it."""
    for turn in range(1, number):
        await state.take("alice", (), [Backoff("account:alice", 1_000_000, 1, 1)])
        await state.first_use(f"ticket {turn}", SOON)
        say(turn)


async def main(path: str, url: str, action: str, number: str) -> None:
    state = RedisState(url, PATIENT) if path == "-" else SqliteState(Path(path), PATIENT)
    say("ready")
    sys.stdin.readline()
    await {"use": use, "take": take, "write": write}[action](state, int(number))
    await state.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
