"""How long a login lasts, without waiting for it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dicomgate import Accept, Pass, Reject, Unavailable
from dicomgate.admin.web import repeats
from dicomgate.admin.web.judging import may_stay
from dicomgate.admin.web.logins import IDLE, LONGEST, MOST, Admitted, Logins
from dicomgate.admin.web.repeats import Repeats
from dicomgate.admin.web.site import Site
from dicomgate.auth.link import Link
from dicomgate.run.assembly import UseCount
from dicomgate.run.page import Page, Right

ALICE = Admitted("staff", "alice", frozenset(), None)
PAGE = cast(Page, SimpleNamespace(right_of=lambda *_: Right.SEE))


def begun(logins: Logins, who: Admitted = ALICE) -> tuple[str, Any]:
    cookie = logins.begin(who)
    return cookie, logins.find(cookie, PAGE, used=True)


def test_a_login_ends_without_use_and_after_its_time() -> None:
    logins = Logins()
    cookie, login = begun(logins)
    login.used -= IDLE - 60
    assert logins.find(cookie, PAGE, used=False) is not None  # a refresh by itself is no use of it
    login.used -= 61
    assert logins.find(cookie, PAGE, used=True) is None
    assert len(logins) == 0
    cookie, login = begun(logins)
    login.ends -= LONGEST
    assert logins.find(cookie, PAGE, used=True) is None
    cookie, _ = begun(logins, Admitted("staff", "alice", frozenset(), 0.0))
    assert logins.find(cookie, PAGE, used=True) is None  # its credential has ended


def test_what_was_recorded_lately_is_not_recorded_again() -> None:
    recorded = Repeats()
    assert [recorded.is_new(what) for what in "abab"] == [True, True, False, False]
    recorded._until["a"] -= repeats.PERIOD
    assert [recorded.is_new(what) for what in "ab"] == [True, False]
    for number in range(repeats.MOST - 1):
        assert recorded.is_new(str(number))
    assert [recorded.is_new(what) for what in "ab"] == [False, True], "b was the oldest"
    assert not recorded.is_new("one more address of a stranger", by_anybody=True)
    assert recorded.is_new("a user")


def test_what_is_shown_does_not_outlast_its_login() -> None:
    script = (files("dicomgate.admin.web") / "templates" / "page.js").read_text("utf-8")
    assert f"LOGGED_OUT = {IDLE / 60:g} * 60 * 1000" in script
    assert "if (new Date() - last > LOGGED_OUT) return location.reload()" in script


def test_there_are_so_many_logins_at_a_time() -> None:
    logins = Logins()
    first, _ = begun(logins)
    kept, _ = begun(logins)
    for _ in range(MOST - 2):
        begun(logins)
    logins.find(first, PAGE, used=True)
    begun(logins)
    assert len(logins) == MOST
    assert logins.find(first, PAGE, used=False) is not None
    assert logins.find(kept, PAGE, used=False) is None  # the one that was used least recently


YES, NO, DOWN = Accept("alice"), Reject("unknown user"), Unavailable("down")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("end", "answers", "stays"),
    [
        (False, (YES, NO), (True, False)),
        (False, (DOWN, DOWN, NO), (True, True, False)),
        (True, (DOWN, YES, DOWN, DOWN), (True, True, True, False)),
    ],
)
async def test_who_is_logged_in_is_asked_about_once_in_an_interval(end: bool, answers: Any, stays: Any) -> None:
    asked: list[tuple[str, object]] = []

    async def still_valid(user: str, handle: object) -> object:
        asked.append((user, handle))
        return answers[len(asked) - 1]

    staff = SimpleNamespace(authenticate=lambda attempt: Pass(), still_valid=still_valid)
    link = Link("staff", cast(Any, staff), revalidate=timedelta(seconds=60), end_if_unavailable=end)
    assembly = SimpleNamespace(links={"staff": link}, uses=UseCount())
    server = SimpleNamespace(generation=SimpleNamespace(assembly=assembly), loop=asyncio.get_running_loop())
    site = cast(Site, SimpleNamespace(server=server))
    _, login = begun(Logins(), Admitted("staff", "alice", frozenset(), None, "a token"))
    for number, stays_then in enumerate(stays, 1):
        assert await may_stay(site, login)
        assert len(asked) == number - 1, "the interval is not over"
        login.asked = time.monotonic() - 60
        assert await may_stay(site, login) is stays_then
    assert asked == [("alice", "a token")] * len(stays)
