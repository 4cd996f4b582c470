"""Durations as an operator writes them: `500ms`, `2s`, `5m`, `1h`, `7d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")


def parse_duration(text: object) -> timedelta:
    """A duration from its text: up to nine digits, at most three decimals, and a unit (ms, s, m, h or d).

    A `timedelta` is returned as it is, so that an option's default may be one.

    Raises ValueError, with the accepted forms in the message, for anything else: a bare number has no unit.
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('a duration is a number with a unit in quotes: "500ms", "2s", "5m", "1h", "7d"')
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def duration_text(value: timedelta) -> str:
    """A duration as `parse_duration` reads it, in the largest unit that needs no decimals; parts of a second in "s"."""
    seconds = value.total_seconds()
    fits = (unit for unit, size in reversed(_UNITS.items()) if seconds >= size and (size == 1 or not seconds % size))
    unit = next(fits, "s" if not seconds else "ms")
    return f"{seconds / _UNITS[unit]:g}{unit}"


def _not_zero(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0: with no time at all every client would be refused")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""For a pydantic model: a duration as an operator writes it."""

Deadline = Annotated[Duration, AfterValidator(_not_zero)]
"""The same, but not zero."""
