"""How long a login lasts, without waiting for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from dicomgate.admin.web.logins import IDLE, LONGEST, MOST, Admitted, Logins
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
