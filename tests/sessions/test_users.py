"""Places of users: never more than the limit, and all come back, in whatever order logins, answers and ends arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomgate.association.admission import Refuse
from dicomgate.errors import DicomgateError
from dicomgate.events.events import ReasonClass
from dicomgate.sessions.shut_outs import ShutOuts
from dicomgate.sessions.users import NoPlace, Place, Principal, UserLimits, Users

ALICE, BOB = Principal("staff", "alice"), Principal("staff", "bob")


def places(users: Users, principal: Principal, count: int, *groups: str) -> list[Place | Refuse]:
    return [users.enter(principal, groups, str(number), lambda _: None) for number in range(count)]


@pytest.mark.parametrize(
    ("groups", "most", "key"),
    [
        ((), 3, "per_user = 3"),
        (("radiology",), 3, "per_user = 3"),
        (("trainees",), 1, "per_user_group.trainees = 1"),
        (("service", "trainees", "radiology"), 5, "per_user_group.service = 5"),
    ],
)
def test_a_limit_of_a_group_takes_the_place_of_per_user_and_the_largest_counts(
    groups: tuple[str, ...], most: int, key: str
) -> None:
    users = Users()
    users.limits = UserLimits(3, {"service": 5, "trainees": 1})
    *held, refused = places(users, ALICE, most + 1, *groups)
    assert all(isinstance(place, Place) for place in held)
    assert isinstance(refused, Refuse)
    assert (tuple(refused.refusal), refused.reason_class) == ((2, 3, 2), ReasonClass.USER_LIMIT)
    assert refused.reason == f"staff/alice has {most} associations already ({key})"
    assert isinstance(places(users, BOB, 1)[0], Place), "another user"
    assert isinstance(places(users, Principal("theirs", "alice"), 1)[0], Place), "another authenticator's alice"


def test_a_limit_that_a_reload_brings_counts_those_who_are_there() -> None:
    users = Users()
    first, *_ = places(users, ALICE, 4)
    users.limits = UserLimits(3)
    assert isinstance(first, Place)
    first.leave()
    assert isinstance(places(users, ALICE, 1)[0], Refuse)
    users.limits = UserLimits()
    assert isinstance(places(users, ALICE, 1)[0], Place)


class Elsewhere:
    """All gateways together: the answers come when the test says so."""

    def __init__(self) -> None:
        self.asked: dict[str, Callable[[NoPlace | None], None]] = {}
        self.held: set[str] = set()

    def enter(self, principal: Principal, session_id: str, limit: int, told: Callable[..., None]) -> Any:
        self.asked[session_id] = told

        class Cancel:
            def cancel(_) -> None:  # noqa: N805
                del self.asked[session_id]

        return Cancel()

    def leave(self, principal: Principal, session_id: str) -> None:
        self.held.remove(session_id)

    def answer(self, session_id: str, refused: NoPlace | None) -> None:
        if refused is None:
            self.held.add(session_id)
        self.asked.pop(session_id)(refused)


CODES = {ReasonClass.USER_LIMIT: (2, 3, 2), ReasonClass.UNAVAILABLE: (2, 2, 1)}
STEPS = st.lists(
    st.tuples(st.sampled_from(["enter", "enter", "leave", "yes", "no", "reload"]), st.integers(0, 9)), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, asks=st.booleans())
def test_no_user_has_more_than_he_may_and_every_place_comes_back_once(steps: list[tuple[str, int]], asks: bool) -> None:
    users, elsewhere, told = Users(), Elsewhere(), dict[str, list[Refuse | None]]()
    held: list[tuple[Principal, Place, str]] = []
    if asks:
        users.elsewhere = elsewhere
    for count, (step, number) in enumerate(steps):
        principal, session_id = (ALICE, BOB)[number % 2], str(count)
        counts = Counter(principal for principal, _, _ in held)
        limit = users.limits.per_user
        if step == "reload":
            users.limits = UserLimits(number)
        elif step == "enter":
            told[session_id] = []
            place = users.enter(principal, (), session_id, told[session_id].append)
            assert isinstance(place, Refuse) == (0 < limit <= counts[principal])
            if isinstance(place, Place):
                assert place.waiting == (asks and limit > 0)
                held.append((principal, place, session_id))
        elif step == "leave" and held:
            principal, place, session_id = held.pop(number % len(held))
            place.leave()
            place.leave()
            assert session_id not in elsewhere.asked, "nobody waits for an answer any more"
        elif step in ("yes", "no") and elsewhere.asked:
            session_id = list(elsewhere.asked)[number % len(elsewhere.asked)]
            refused = None if step == "yes" else list(CODES)[number % 2]
            elsewhere.answer(session_id, refused and (refused, "busy"))
            (answer,) = told[session_id]
            assert (answer and (answer.reason_class, tuple(answer.refusal))) == (refused and (refused, CODES[refused]))
        counts = Counter(principal for principal, _, _ in held)
        assert (users.count(ALICE), users.count(BOB)) == (counts[ALICE], counts[BOB])
        assert elsewhere.held <= {session_id for _, _, session_id in held}
    for _, place, _ in held:
        place.leave()
    assert not users._counts
    assert not elsewhere.held
    assert not elsewhere.asked
    assert all(len(answers) <= 1 for answers in told.values())


def test_who_is_shut_out_while_others_are_asked_for_a_place_does_not_slip_in() -> None:
    users, told = Users(), list[Refuse | None]()
    users.limits, users.elsewhere = UserLimits(3), (elsewhere := Elsewhere())
    places = [users.enter(who, (), who.user, told.append) for who in (ALICE, BOB)]
    users.shut_outs.add("alice", 60, "")
    for place, answered in zip(places, ("alice", "bob"), strict=True):
        elsewhere.answer(answered, None)
        assert isinstance(place, Place)
        place.leave()
    assert told[0] is not None
    assert (told[0].reason_class, told[1]) == (ReasonClass.KICKED, None)
    assert not elsewhere.held


# decision: D50
def test_who_is_shut_out_is_refused_until_his_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    users = Users()
    users.shut_outs = outs = ShutOuts(lambda: now[0])
    outs.add("alice", 600, "uid 1000 (root): a lost laptop", "staff")
    refused, bob = places(users, ALICE, 1)[0], places(users, BOB, 1)[0]
    assert isinstance(refused, Refuse)
    assert (tuple(refused.refusal), refused.reason_class) == ((1, 2, 1), ReasonClass.KICKED)
    assert refused.reason.startswith("staff/alice is shut out until 20")
    assert refused.reason.endswith(": uid 1000 (root): a lost laptop")
    assert isinstance(bob, Place)
    theirs = Principal("theirs", "alice")
    assert isinstance(places(users, theirs, 1)[0], Place)
    outs.add("alice", 60, "of any authenticator")
    assert isinstance(places(users, theirs, 1)[0], Refuse)
    now[0] += 61
    assert isinstance(places(users, theirs, 1)[0], Place)
    assert isinstance(places(users, ALICE, 1)[0], Refuse)
    outs.add("alice", 0, "let him in", "staff")
    assert isinstance(places(users, ALICE, 1)[0], Place)

    outs.add("alice", 60, "of any authenticator")
    outs.add("alice", 0, "as the status page does it", "staff")
    assert isinstance(places(users, ALICE, 1)[0], Place)
    assert isinstance(places(users, theirs, 1)[0], Refuse)
    outs.add("alice", 60, "again")
    assert isinstance(places(users, ALICE, 1)[0], Refuse)
    outs.add("alice", 60, "", "staff")
    outs.add("alice", 0, "all of that name")
    assert {type(places(users, who, 1)[0]) for who in (ALICE, theirs)} == {Place}
    now[0] += 61

    monkeypatch.setattr("dicomgate.sessions.shut_outs._MOST", 2)
    for name in ("x", "y", "y"):
        outs.add(name, 10, "")
    with pytest.raises(DicomgateError, match="2 users are already"):
        outs.add("z", 10, "")
    now[0] += 11
    outs.add("z", 10, "")
    assert len(outs._users) == 1, "what is over is forgotten"
