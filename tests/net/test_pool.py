"""A pool without sockets: whatever happens in whatever order, its rules hold; and the four orders."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dicomgate.net.pool import Balance, Conduct, Member, Pool

_DEEDS = st.tuples(
    st.sampled_from(["asks and is answered", "asks and fails", "asks and stays", "ends", "time passes"]),
    st.floats(0.01, 400),
)


def pool(count: int, balance: Balance = "first", fall: int = 3) -> tuple[Pool, list[str]]:
    lines: list[str] = []
    return Pool("pacs", [f"{name}:104" for name in "abcdef"[:count]], Conduct(balance, fall), lines.append), lines


def chosen(of: Pool, key: str = "", now: float = 0.0, tried: tuple[Member, ...] = ()) -> str:
    return next((member.name[0] for member in of.candidates(tried, key, now)), "")


def fail(of: Pool, name: str, times: int = 3, now: float = 0.0) -> None:
    for _ in range(times):
        of.failed(next(member for member in of.members if member.name[0] == name), "Connection refused", now)


@given(st.integers(1, 5), st.sampled_from(["first", "least", "calling", "user"]), st.integers(1, 3),
       st.lists(_DEEDS, max_size=60))  # fmt: skip
def test_its_rules_hold_whatever_happens(
    count: int, balance: Balance, fall: int, deeds: list[tuple[str, float]]
) -> None:
    of, _ = pool(count, balance, fall)
    now, there = 0.0, list[Member]()
    for deed, seconds in deeds:
        candidates = of.candidates((), deed, now)
        failing = [member for member in of.members if member.down or member.failures >= fall]
        assert len(set(map(id, candidates))) == len(candidates)
        assert sum(member.down for member in of.members) <= count // 2, "more than half are down"
        if len(failing) == count:
            assert all(member.trial <= now for member in candidates), "not all wait for their trial"
        else:
            assert candidates[0] not in failing, "one that fails before one that does not"
            assert all(member in candidates for member in of.members if not member.down)
        if deed == "time passes":
            now += seconds
        elif deed == "ends" and there:
            there.pop().ended()
        elif deed.startswith("asks") and candidates:
            of.ask(first := candidates[0], now)
            there.append(first)
            assert first not in failing or first not in of.candidates((), deed, now), "a second trial at once"
            if deed == "asks and fails":
                of.failed(first, "Connection refused", now)
            elif deed == "asks and is answered":
                of.answered(first)
                assert not first.down
                assert first in of.candidates((), deed, now)
        assert Counter(member.name for member in there) == Counter({m.name: m.associations for m in of.members})
    assert len(of.candidates((), "", now + 301)) == count, "one stays down for ever"


def test_one_that_fails_is_out_for_a_while_and_then_for_longer() -> None:
    of, lines = pool(2)
    fail(of, "a", 2)
    assert chosen(of) == "a"
    fail(of, "a", 1)
    assert (chosen(of, now=9.9), chosen(of, now=10.1)) == ("b", "a")
    fail(of, "a", 1, now=10.1)  # its trial: once is enough
    assert (chosen(of, now=30.0), chosen(of, now=30.2)) == ("b", "a")
    assert lines == [
        "a:104 is down for 10 s: Connection refused", "a:104 is asked again",
        "a:104 is down for 20 s: Connection refused", "a:104 is asked again",
    ]  # fmt: skip
    of.answered(of.members[0])
    fail(of, "a", 3, now=31)
    assert chosen(of, now=41.1) == "a", "it had answered in between"


def test_where_all_fail_one_association_a_second_tries() -> None:
    of, lines = pool(3)
    for name in "abc":
        fail(of, name)
    assert [member.down for member in of.members] == [True, False, False]
    assert chosen(of) == ""
    assert of.why(2.0).startswith("a:104: down for 2 s: Connection refused; b:104: down for 2 s: Connection")
    (trial, *_) = of.candidates((), "", 1.1)
    of.ask(trial, 1.1)
    assert chosen(of, now=2.0) == "", "a second trial beside the first"
    of.failed(trial, "Connection refused", 2.05)
    assert (chosen(of, now=3.0), chosen(of, now=3.1)) == ("", "b")
    of.answered(trial)
    assert chosen(of, now=1.3) == trial.name[0]
    assert lines[1].startswith("no address answers; a:104: down for")


def test_the_fewest_associations_and_of_equals_in_turn() -> None:
    of, _ = pool(2, "least")
    for _ in range(10):
        of.ask(of.members[0], 0)
    assert [chosen(of), chosen(of, tried=(of.members[1],))] == ["b", "a"]
    for _ in range(10):
        of.ask(of.candidates((), "", 0)[0], 0)
    assert [member.associations for member in of.members] == [10, 10]
    turns = []
    for _ in range(4):
        of.ask(member := of.candidates((), "", 0)[0], 0)
        member.ended()
        turns.append(member.name[0])
    assert turns == ["a", "b", "a", "b"]


def test_a_device_keeps_its_address_and_one_that_goes_down_moves_its_own_alone() -> None:
    of, _ = pool(4, "calling")
    devices = [f"CT{number}" for number in range(200)]
    before = {device: chosen(of, device) for device in devices}
    assert min(Counter(before.values()).values()) > 25, "they are not spread"
    fail(of, "b")
    after = {device: chosen(of, device) for device in devices}
    assert {device for device in devices if after[device] != before[device]} == {
        device for device in devices if before[device] == "b"
    }


def test_a_reload_keeps_what_is_known_of_an_address_that_stays() -> None:
    of, _ = pool(2)
    of.ask(of.members[0], 0)
    fail(of, "a")
    new = Pool("pacs", ["c:104", "a:104"], Conduct(), print)
    new.go_on_from(of)
    assert [(member.name, member.down, member.associations) for member in new.members] == [
        ("c:104", False, 0), ("a:104", True, 1),
    ]  # fmt: skip


CHECKED = Conduct(trial=10.0, checked=True, fall=2, rise=2)


def test_checks_put_down_all_and_up_again() -> None:
    lines: list[str] = []
    of = Pool("pacs", ["a:104", "b:104"], CHECKED, lines.append)
    a, b = of.members
    for second in range(2):
        of.checked(a, "Connection refused", "", second)
        assert a.down == bool(second)
    of.checked(b, "no answer", "", 0)
    of.checked(b, "", "", 1)  # not in a row
    of.checked(b, "no answer", "", 2)
    assert chosen(of, now=3) == "b"
    of.checked(b, "no answer", "", 3)
    assert [chosen(of, now=5), chosen(of, now=13.1)] == ["", "a"], "one trial in an interval"
    of.checked(a, "", "", 14)
    assert a.down
    of.checked(a, "", "", 15)
    assert chosen(of, now=15) == "a"
    of.answered(b)  # the trial of an association
    assert not b.down
    assert lines == [
        "a:104 is down: Connection refused", "b:104 is down: no answer", "a:104 answers again", "b:104 answers again",
    ]  # fmt: skip


def test_one_that_associations_put_down_is_down_until_checks_say_otherwise() -> None:
    of = Pool("pacs", ["a:104", "b:104"], CHECKED, lambda _: None)
    fail(of, "a", 2)
    assert chosen(of, now=9_999) == "b"
    for _ in range(2):
        of.checked(of.members[0], "", "", 9_999)
    assert chosen(of, now=9_999) == "a"
    fail(of, "a", 2)
    new = Pool("pacs", ["a:104", "b:104"], Conduct(), lambda _: None)
    new.go_on_from(of)
    assert chosen(new) == "a", "after a reload nobody checks it any more"


def test_what_an_operator_takes_out_gets_no_association() -> None:
    of, _ = pool(2)
    a, b = of.members
    of.ordered(a, "drain")
    assert [member.name for member in of.candidates((), "", 0)] == ["b:104"]
    of.ordered(b, "down")
    assert of.candidates((), "", 9_999) == []
    assert of.why(0) == "a:104: taken out by an operator (drain); b:104: taken out by an operator (down)"
    of.ordered(a, "ready")
    assert chosen(of) == "a"
