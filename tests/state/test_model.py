"""Both stores answer as the reference does, whatever is asked of them and in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicomgate.state.protocol import Backoff, Grant, Limits, StateUnavailable
from dicomgate.state.sqlite import SqliteState
from tests.state.reference import Reference

pytestmark = pytest.mark.anyio
LIMITS = Limits(deadline=20, counters=4, known=2, used=3, forget_counter=500, forget_known=900, skew=10,
                under_way=20)  # fmt: skip
KEYS = st.sampled_from(["a", "b", "c", "d", "é\0\n", "f"])
PAIRS = st.sampled_from(["p", "q", "r"])
SEVERAL = st.lists(KEYS, max_size=3, unique=True)
BACKOFFS = st.lists(
    st.builds(
        Backoff,
        KEYS,
        free=st.integers(0, 3),
        first=st.sampled_from([0, 1, 8]),
        longest=st.sampled_from([0, 20, 1000]),
        most=st.none() | st.integers(1, 5),
    ),
    max_size=3,
    unique_by=lambda backoff: backoff.key,
)
STEPS = st.one_of(
    st.tuples(st.just("take"), PAIRS, BACKOFFS, BACKOFFS),
    st.tuples(st.sampled_from(["take", "look"]), PAIRS, BACKOFFS, BACKOFFS),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 7, 8, 30, 499, 500, 901, -40])),
    st.tuples(st.sampled_from(["refund", "ended"]), SEVERAL),
    st.tuples(st.just("succeeded"), PAIRS, st.lists(KEYS, max_size=4, unique=True), st.integers(0, 4), SEVERAL),
    st.tuples(st.sampled_from(["first_use", "unused"]), KEYS, st.integers(-20, 60)),
    st.tuples(st.just("clear"), st.none() | SEVERAL),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=30))
async def test_a_store_answers_as_the_reference_does(clocked: Any, steps: list[tuple[Any, ...]]) -> None:
    clock, open_empty = clocked
    reference = Reference(LIMITS, clock.now)
    state = open_empty(LIMITS)
    try:
        for what, *given in steps:
            if what == "wait":
                clock.set(clock.now + given[0])
                reference.now = clock.now
                continue
            if what == "succeeded":
                pair, keys, several, ended = given
                given = [pair, keys[:several], keys[several:], ended]
            single_use = what in ("first_use", "unused")
            if single_use:
                given[1] += clock.now
            expected = getattr(reference, what)(*given)
            if isinstance(state, SqliteState) and isinstance(expected, Grant):
                expected = replace(expected, under_way=0)  # it does not count these
            if single_use:
                given[1] = datetime.fromtimestamp(given[1], UTC)
            if single_use and expected is None:
                with pytest.raises(StateUnavailable, match="no room"):
                    await getattr(state, what)(*given)
            else:
                assert await getattr(state, what)(*given) == expected
            counts = await state.counters()
            assert [count.n for count in counts] == sorted((count.n for count in counts), reverse=True)
            assert {
                count.key: (count.n, count.until.timestamp(), count.last.timestamp(), count.locked) for count in counts
            } == reference.counters()
    finally:
        await state.close()
