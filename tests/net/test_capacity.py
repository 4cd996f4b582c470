"""Capacity: each limit by itself, what one source can take from another, and that all of it is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomgate.net.capacity import Capacity, Limits, Slot
from dicomgate.net.tally import dropped

WIDE = Limits(
    max_associations=100, max_associations_per_source=100, max_unauthenticated=100, max_unauthenticated_per_source=100
)
ONE, OTHER = "192.0.2.1", "192.0.2.2"


def capacity(limits: Limits) -> tuple[Capacity, list[tuple[str, str]]]:
    """Capacity with these limits, and the list to which it adds what it drops."""
    dropped: list[tuple[str, str]] = []
    return Capacity(limits, lambda *what: dropped.append(what)), dropped


def acquire(from_: Capacity, address: str, *, admitted: bool = False) -> Slot:
    """A slot within all limits."""
    slot = from_.acquire(address)
    assert slot is not None
    assert slot.over_limit == ""
    if admitted:
        slot.admitted()
    return slot


def over_limit(of: Capacity, address: str) -> str:
    """The limit that one more connection from there would be over; its slot is given back."""
    slot = of.acquire(address)
    assert slot is not None
    slot.release()
    return slot.over_limit


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
    slots, dropped = capacity(replace(WIDE, **{limit: 2}))
    held = [acquire(slots, ONE, admitted=not before_login) for _ in range(2)]
    assert f"({limit} = 2)" in over_limit(slots, ONE)
    assert ("its source" in over_limit(slots, ONE)) == of_source
    assert bool(over_limit(slots, OTHER)) != of_source, "the limits in all concern another source as well"
    if before_login:
        held[0].admitted()
    else:
        held[0].release()
    acquire(slots, ONE)
    assert dropped == []


def test_only_as_many_are_answered_as_may_be_unauthenticated() -> None:
    slots, dropped = capacity(replace(WIDE, max_associations_per_source=1, max_unauthenticated_per_source=3))
    acquire(slots, ONE, admitted=True)
    answered = [slots.acquire(ONE) for _ in range(3)]
    assert all(slot is not None and slot.over_limit for slot in answered)
    assert slots.acquire(ONE) is None
    assert dropped == [(ONE, "too many associations from its source (max_associations_per_source = 1)")]
    assert over_limit(slots, OTHER) == "", "those that are only answered use up no slot of others"
    cast(Slot, answered[0]).release()
    assert over_limit(slots, ONE)


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
    slots, _ = capacity(replace(WIDE, max_associations_per_source=1))
    acquire(slots, "2001:db8::")
    assert bool(over_limit(slots, address)) == same


ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
SOURCES = dict(zip(ADDRESSES, (1, 2, 3, 4, 4, 5), strict=True))
LIMIT = st.integers(1, 4)
LIMITS = st.builds(Limits, LIMIT, LIMIT, LIMIT, LIMIT)
STEPS = st.one_of(
    st.sampled_from(ADDRESSES), st.tuples(st.sampled_from(["admitted", "release"]), st.integers(0, 99)), LIMITS
)


class Model:
    """What is counted, counted anew each time: where each came from, its slot, and whether it was admitted."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held: list[tuple[int, Slot, set[str]]] = []

    def count(self, kind: Callable[[Slot, set[str]], bool], source: int | None = None) -> int:
        return sum(kind(slot, past) for own, slot, past in self.held if source in (None, own))

    def reached(self, source: int) -> set[str]:
        """The keys of the limits that one more from there would be above."""
        taken = {
            "max_associations": self.count(lambda slot, _: not slot.over_limit),
            "max_associations_per_source": self.count(lambda slot, _: not slot.over_limit, source),
            "max_unauthenticated": self.count(lambda slot, past: not slot.over_limit and not past),
            "max_unauthenticated_per_source": self.count(lambda slot, past: not slot.over_limit and not past, source),
        }
        return {key for key, most in asdict(self.limits).items() if taken[key] >= most}

    def drops(self, source: int) -> bool:
        answered = (self.count(lambda slot, _: bool(slot.over_limit), whose) for whose in (None, source))
        limits = self.limits
        most = limits.max_unauthenticated, limits.max_unauthenticated_per_source
        return any(count >= limit for count, limit in zip(answered, most, strict=True))


@given(LIMITS, st.lists(STEPS, max_size=60))
def test_whatever_happens_the_counts_are_right_and_all_is_given_back(limits: Limits, steps: list[object]) -> None:
    slots, dropped = capacity(limits)
    model = Model(limits)
    for step in steps:
        if isinstance(step, Limits):
            slots.limits = model.limits = step
        elif isinstance(step, str):
            source = SOURCES[step]
            reached, dropped_before = model.reached(source), len(dropped)
            slot = slots.acquire(step)
            assert (slot is None) == bool(reached and model.drops(source))
            assert len(dropped) == dropped_before + (slot is None)
            assert slot is None or bool(slot.over_limit) == bool(reached)
            assert slot is None or not reached or any(f"({key} = " in slot.over_limit for key in reached)
            if slot is not None:
                model.held.append((source, slot, set()))
        elif model.held:
            what, which = cast(tuple[str, int], step)
            _, slot, past = model.held[which % len(model.held)]
            if what == "admitted":
                past.add("admitted")
                slot.admitted()
            else:
                slot.release()
                del model.held[which % len(model.held)]
                slot.release()  # idempotent
    for _, slot, _ in model.held:
        slot.release()
    assert slots._sources == {}
    assert not slots._all
    assert slots._all.unauthenticated == 0


class Clock:
    """Stands for an event loop, of which only the timers are wanted."""

    def __init__(self) -> None:
        self.timers: list[Callable[[], None]] = []

    def call_later(self, _: float, callback: Callable[[], None]) -> None:
        self.timers.append(callback)


def test_a_flood_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    drop_log = dropped(cast(asyncio.AbstractEventLoop, clock)).count
    for number in range(1000):
        drop_log(f"192.0.2.{number % 200}", "there are too many")
    assert len(clock.timers) == 1
    clock.timers.pop()()
    drop_log(OTHER, "there are too many")
    clock.timers.pop()()
    assert clock.timers == []
    assert [record.getMessage() for record in caplog.records] == [
        "connections closed unanswered: 1000, the last of them from 192.0.2.199: there are too many",
        "connections closed unanswered: 1, the last of them from 192.0.2.2: there are too many",
    ]
