"""The long run's own eyes: a story, a client or an admission that is wrong is found."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.stamina.arrivals import Visitor, Window
from tests.stamina.faults import Fault
from tests.stamina.stories import Story, difference, unexplained, wrongly

SERVED = ["Opened", "Decided", "Established", "Closed"]
NOW = time.time()


def visitor(kind: str = "token", answer: str = "accepted", end: str = "released") -> Visitor:
    return Visitor("V1", kind, "", began=10.0, answer=answer, end=end, ended=11.0, window=Window(NOW, NOW + 60, 30))


def story(kinds: list[str] = SERVED, **more: Any) -> Story:
    return Story(kinds, "V1", "127.0.0.1", **{"accepted": True, "decided": NOW, "reason": "released", **more})


@pytest.mark.parametrize(
    "kinds",
    [
        [],
        ["Opened"],
        ["Closed", "Opened"],
        SERVED[1:],
        SERVED[:-1],
        [*SERVED, "Closed"],
        [*SERVED, "Established"],
        ["Opened", *SERVED],
        ["Opened", "Decided", *SERVED[1:]],
        ["Opened", "Decided", "Refused", "Established", "Closed"],
    ],
)
def test_what_is_no_story(kinds: list[str]) -> None:
    assert story(kinds).flaw()
    for right in (
        SERVED,
        ["Opened", "Decided", "Refused", "Closed"],
        ["Opened", "Refused", "Closed"],
        ["Opened", "Closed"],
    ):
        assert not story(right).flaw()


def test_the_clients_story_is_the_gateways() -> None:
    refused = story(["Opened", "Decided", "Refused", "Closed"], answer="A-ASSOCIATE-RJ 1,2,1 (...)", reason="expired")
    assert not difference(visitor(), story())
    assert not difference(visitor(answer="rejected 1,2,1", end="rejected 1,2,1"), refused)
    assert difference(visitor(), refused)
    assert difference(visitor(end="aborted"), story())
    assert difference(visitor(answer="rejected 2,2,1"), refused)
    assert difference(visitor(answer="rejected 1,2,1"), story())


def test_who_was_admitted_out_of_time_or_with_nothing() -> None:
    assert not wrongly(visitor(), story(), [])
    assert not wrongly(visitor("late token"), story(decided=NOW + 89), [])
    late = story(decided=NOW + 100)
    assert wrongly(visitor(), late, [])
    assert wrongly(visitor(), story(decided=NOW - 40), [])
    assert not wrongly(visitor(), late, [Fault("clock 2 h ahead", "", 9.5, 30.0)]), "it was set meanwhile"
    assert wrongly(visitor(), late, [Fault("clock 2 h ahead", "", 1.0, 30.0)])
    for kind in ("guess", "forged token", "replay"):
        assert wrongly(visitor(kind), story(), [])
        assert not wrongly(visitor(kind), story(accepted=False), [])


def test_only_what_happened_to_it_excuses_a_user_who_got_nothing() -> None:
    failed, down = visitor(end="aborted"), story(reason="upstream_down")
    assert unexplained(failed, down, [])
    assert unexplained(failed, down, [Fault("one PACS killed", "", 1.0, 2.0)])
    assert unexplained(failed, down, [Fault("reload", "", 9.0, 10.5)])
    assert not unexplained(failed, down, [Fault("one PACS killed", "", 9.0, 10.5)])
    refused = visitor(answer="rejected 1,2,1", end="rejected 1,2,1")
    assert unexplained(refused, story(accepted=False), [])
    assert not unexplained(refused, story(accepted=False, decided=NOW + 7200), [])
