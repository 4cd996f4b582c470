"""What the page shows of what there is: how much of it, in which words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dicomgate.admin.web import shown
from dicomgate.admin.web.failed_logins import FailedLogins
from dicomgate.admin.web.site import Site
from dicomgate.admin.web.view import MOST_COUNTERS, MOST_SESSIONS, Sought, View, view
from dicomgate.errors import StateUnavailable
from dicomgate.sessions.listed import SessionStatus
from dicomgate.sessions.shut_outs import ShutOuts

NOW = datetime.now(UTC)


def session(number: int, user: str | None = "alice") -> SessionStatus:
    who: Any = {"claimed": "alice", "user": user, "authenticator": "staff", "groups": ()}
    where: Any = {"listener": "clinical", "address": "192.0.2.7", "port": number, "upstream": "pacs"}
    titles: Any = {"calling_ae_title": f"CT{number}", "called_ae_title": "PACS"}
    return SessionStatus(
        id=f"{number:012x}", node="gate-1", since=NOW, ends=None, traffic=None, **who, **where, **titles
    )


def site(*sessions: SessionStatus, throttled: Any = None) -> Site:
    async def counted() -> list[Any]:
        if isinstance(throttled, Exception):
            raise throttled
        return throttled or []

    operator = SimpleNamespace(
        sessions=lambda: iter(sessions), throttled=counted, status=lambda: SimpleNamespace(refusals=())
    )
    server = SimpleNamespace(users=SimpleNamespace(shut_outs=ShutOuts()), everywhere=SimpleNamespace(shared=False))
    return cast(Site, SimpleNamespace(operator=operator, server=server, failed_logins=FailedLogins()))


def test_a_page_has_so_many_rows_and_says_how_many_there_are() -> None:
    counters = [SimpleNamespace(key=str(number)) for number in range(MOST_COUNTERS + 1)]
    turns = 0

    async def both() -> View:
        nonlocal turns
        there = site(*map(session, range(MOST_SESSIONS + 1)), throttled=counters)
        seeing = asyncio.ensure_future(view(there, Sought()))
        while not seeing.done():
            turns += 1
            await asyncio.sleep(0)
        return seeing.result()

    seen = asyncio.run(both())
    assert turns > MOST_SESSIONS / 200, "others have their turns meanwhile"
    assert (seen.found, len(seen.sessions)) == (MOST_SESSIONS + 1, MOST_SESSIONS)
    assert seen.sessions[0].id == f"{0:012x}"  # the oldest
    assert (seen.counted, len(seen.counters)) == (MOST_COUNTERS + 1, MOST_COUNTERS)


def test_associations_are_sought_by_text_or_by_the_whole_user() -> None:
    there = site(replace(session(7), via="10.0.0.5"), session(8, "alice.b"), session(9, None))
    found = {
        text: [one.port for one in asyncio.run(view(there, Sought(text=text))).sessions]
        for text in ("ct8", "ALICE.B", "192.0.2", "000000000009", "10.0.0.5", "nobody")
    }
    assert found == {
        "ct8": [8],
        "ALICE.B": [8],
        "192.0.2": [7, 8, 9],
        "000000000009": [9],
        "10.0.0.5": [7],
        "nobody": [],
    }
    assert [one.port for one in asyncio.run(view(there, Sought(user="staff/alice"))).sessions] == [7]


def test_a_state_that_is_out_of_reach_is_said() -> None:
    seen = asyncio.run(view(site(throttled=StateUnavailable("no Redis answers")), Sought()))
    assert (seen.counters, seen.counters_problem) == ((), "no Redis answers")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (999_600, "1.0 MB"), (10**16, "10000 TB")],
)
def test_bytes_have_one_to_three_digits(count: int, text: str) -> None:
    assert shown.size(count) == text


def test_times_are_short() -> None:
    assert [shown.duration(seconds) for seconds in (-1, 59.9, 60, 3599, 3600, 90_000)] == [
        *("0 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "1 d 01 h"),
    ]
    assert shown.until(NOW - timedelta(seconds=1)) == "now"
    assert shown.line("a\u202eb\n" + "x" * 300) == r"a\u202eb\n" + "x" * 251 + "…"
