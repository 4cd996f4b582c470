"""Capacity: each limit by itself, what one source can take from another, and that all of it is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomgate.net.capacity import Capacity, DropLog, Limits, Slot

WIDE = Limits(
    max_associations=100,
    max_associations_per_source=100,
    max_unauthenticated=100,
    max_unauthenticated_per_source=100,
)
ONE, OTHER = "192.0.2.1", "192.0.2.2"


def places(limits: Limits) -> tuple[Capacity, list[tuple[str, str]]]:
    """Capacity with these limits, and where they tell who was turned away."""
    told: list[tuple[str, str]] = []
    return Capacity(limits, lambda *what: told.append(what)), told


def enter(into: Capacity, address: str, *, admitted: bool = False) -> Slot:
    """A place that is not full."""
    place = into.enter(address)
    assert place is not None
    assert place.full == ""
    if admitted:
        place.admitted()
    return place


def full(into: Capacity, address: str) -> str:
    """The limit that one more from there is told; it gives its place back."""
    place = into.enter(address)
    assert place is not None
    place.leave()
    return place.full


@pytest.mark.parametrize(
    ("limit", "of_source", "before_login"),
    [
        ("max_associations", False, False),
        ("max_associations_per_source", True, False),
        ("max_unauthenticated", False, True),
        ("max_unauthenticated_per_source", True, True),
    ],
)
def test_each_limit_is_kept_by_itself(limit: str, of_source: bool, before_login: bool) -> None:
    into, told = places(replace(WIDE, **{limit: 2}))
    held = [enter(into, ONE, admitted=not before_login) for _ in range(2)]
    assert f"({limit} = 2)" in full(into, ONE)
    assert ("its source" in full(into, ONE)) == of_source
    assert bool(full(into, OTHER)) != of_source, "another source is concerned by what is counted in all"
    if before_login:
        held[0].admitted()
    else:
        held[0].leave()
    enter(into, ONE)
    assert told == []


def test_the_admitted_make_room_for_others_to_log_in() -> None:
    into, _ = places(replace(WIDE, max_unauthenticated_per_source=1))
    for _ in range(10):
        enter(into, ONE).admitted()
    assert full(into, ONE) == ""


def test_as_many_are_answered_as_may_be_before_their_login_and_then_nobody() -> None:
    into, told = places(replace(WIDE, max_associations_per_source=1, max_unauthenticated_per_source=3))
    enter(into, ONE, admitted=True)
    answered = [into.enter(ONE) for _ in range(3)]
    assert all(place is not None and place.full for place in answered)
    assert into.enter(ONE) is None
    assert told == [(ONE, "its source has as many associations as it may have (max_associations_per_source = 1)")]
    assert full(into, OTHER) == "", "those who are only answered take nobody's place"
    cast(Slot, answered[0]).leave()
    assert full(into, ONE)


def test_those_who_are_answered_are_limited_in_all_as_well() -> None:
    into, told = places(replace(WIDE, max_associations=1, max_unauthenticated=3))
    enter(into, ONE, admitted=True)
    answered = [into.enter(f"192.0.2.{number}") for number in range(10, 13)]
    assert all(place is not None and place.full for place in answered)
    assert into.enter(OTHER) is None
    assert [address for address, _ in told] == [OTHER]


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("2001:db8::1", True),
        ("2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", False),
        ("2001:db9::1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.1", False),
    ],
)
def test_a_source_of_ipv6_is_a_64(address: str, same: bool) -> None:
    into, _ = places(replace(WIDE, max_associations_per_source=1))
    enter(into, "2001:db8::")
    assert bool(full(into, address)) == same


def test_a_changed_limit_is_for_those_who_come_and_the_counts_stay() -> None:
    into, _ = places(WIDE)
    held = [enter(into, ONE) for _ in range(3)]
    into.limits = replace(WIDE, max_associations=2)
    assert "(max_associations = 2)" in full(into, ONE)
    held[0].leave()
    assert "(max_associations = 2)" in full(into, ONE)
    into.limits = replace(WIDE, max_associations=3)
    enter(into, ONE)


ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
SOURCES = dict(zip(ADDRESSES, (1, 2, 3, 4, 4, 5), strict=True))
LIMIT = st.integers(1, 4)
LIMITS = st.builds(Limits, LIMIT, LIMIT, LIMIT, LIMIT)
STEPS = st.one_of(
    st.sampled_from(ADDRESSES), st.tuples(st.sampled_from(["admitted", "leave"]), st.integers(0, 99)), LIMITS
)


class Model:
    """What is counted, counted anew each time: where each came from, its place, and whether it was admitted."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held: list[tuple[int, Slot, set[str]]] = []

    def count(self, kind: Callable[[Slot, set[str]], bool], source: int | None = None) -> int:
        return sum(kind(place, past) for own, place, past in self.held if source in (None, own))

    def reached(self, source: int) -> set[str]:
        """The keys of the limits that one more from there would be above."""
        taken = {
            "max_associations": self.count(lambda place, _: not place.full),
            "max_associations_per_source": self.count(lambda place, _: not place.full, source),
            "max_unauthenticated": self.count(lambda place, past: not place.full and not past),
            "max_unauthenticated_per_source": self.count(lambda place, past: not place.full and not past, source),
        }
        return {key for key, most in asdict(self.limits).items() if taken[key] >= most}

    def turns_away(self, source: int) -> bool:
        answered = (self.count(lambda place, _: bool(place.full), whose) for whose in (None, source))
        limits = self.limits
        most = limits.max_unauthenticated, limits.max_unauthenticated_per_source
        return any(count >= limit for count, limit in zip(answered, most, strict=True))


@given(LIMITS, st.lists(STEPS, max_size=60))
def test_whatever_happens_the_counts_are_right_and_all_is_given_back(limits: Limits, steps: list[object]) -> None:
    into, told = places(limits)
    model = Model(limits)
    for step in steps:
        if isinstance(step, Limits):
            into.limits = model.limits = step
        elif isinstance(step, str):
            source = SOURCES[step]
            reached, turned_away = model.reached(source), len(told)
            place = into.enter(step)
            assert (place is None) == bool(reached and model.turns_away(source))
            assert len(told) == turned_away + (place is None)
            assert place is None or bool(place.full) == bool(reached)
            assert place is None or not reached or any(f"({key} = " in place.full for key in reached)
            if place is not None:
                model.held.append((source, place, set()))
        elif model.held:
            what, which = cast(tuple[str, int], step)
            _, place, past = model.held[which % len(model.held)]
            if what == "admitted":
                past.add("admitted")
                place.admitted()
            else:
                place.leave()
                del model.held[which % len(model.held)]
                place.leave()  # in vain
    for _, place, _ in model.held:
        place.leave()
    assert into._sources == {}
    assert not into._all
    assert into._all.unauthenticated == 0


class Clock:
    """Stands for an event loop, of which only the timers are wanted."""

    def __init__(self) -> None:
        self.timers: list[Callable[[], None]] = []

    def call_later(self, _: float, callback: Callable[[], None]) -> None:
        self.timers.append(callback)


def test_a_flood_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    turned_away = DropLog(cast(asyncio.AbstractEventLoop, clock))
    for number in range(1000):
        turned_away(f"192.0.2.{number % 200}", "there are too many")
    assert len(clock.timers) == 1
    clock.timers.pop()()
    turned_away(OTHER, "there are too many")
    clock.timers.pop()()
    assert clock.timers == []
    assert [record.getMessage() for record in caplog.records] == [
        "connections closed unanswered: 1000, the last of them from 192.0.2.199: there are too many",
        "connections closed unanswered: 1, the last of them from 192.0.2.2: there are too many",
    ]
