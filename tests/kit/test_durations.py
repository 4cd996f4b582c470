"""Durations: a number and a unit, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomgate.kit.durations import duration_text, parse_duration

UNITS = {"ms": timedelta(milliseconds=1), "s": timedelta(seconds=1), "m": timedelta(minutes=1),
         "h": timedelta(hours=1), "d": timedelta(days=1)}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("2s", 2),
        ("2.5s", 2.5),
        ("5m", 300),
        ("1h", 3600),
        ("7d", 604_800),
        ("0s", 0),
        ("0.001s", 0.001),
    ],
)
def test_what_an_operator_writes(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert duration_text(timedelta(seconds=seconds)) == {"0.001s": "1ms"}.get(text, text)


@settings(deadline=None)
@given(st.integers(0, 999_999_999), st.sampled_from(sorted(UNITS)))
def test_every_whole_number_with_a_unit_is_exact(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == number * UNITS[unit]


def test_a_timedelta_is_returned_as_it_is() -> None:
    value = timedelta(seconds=1)
    assert parse_duration(value) is value


WRONG: list[object] = [
    *("", "2", "s", "2 s", " 2s", "2s ", "2s\n", "-2s", "+2s", "2S", "2sec", "1h30m", "2,5s", ".5s", "2.s", "1e3s"),
    *("infs", "nans", "1_000s", "\u0663s", "\uff12s", "2\u2009s", "9999999999s", "1.2345s", "2w", "PT2S"),
    *(2, 2.5, 0, True, None, [], {}, b"2s", ["2s"]),
]


@pytest.mark.parametrize("wrong", WRONG, ids=ascii)
def test_anything_else_is_a_value_error_that_teaches(wrong: object) -> None:
    with pytest.raises(ValueError, match='"500ms", "2s", "5m", "1h", "7d"'):
        parse_duration(wrong)


@settings(deadline=None)
@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        assert parse_duration(text) >= timedelta(0)
    except ValueError:
        return
