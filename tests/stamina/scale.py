"""The size of the stamina tests: small with `make test`, full with `make stamina`. And the figures that they report."""

from __future__ import annotations

import os
from typing import TypeVar

FULL = os.environ.get("DICOMGATE_STAMINA") == "full"
reported: list[str] = []
"""What pytest's summary shows, in the order of the tests."""

_Value = TypeVar("_Value")


def scaled(full: _Value, small: _Value) -> _Value:
    """The value for the size of this run."""
    return full if FULL else small


def report(name: str, **figures: object) -> None:
    """Show one line of figures in the summary at the end of the run."""
    told = (f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in figures.items())
    reported.append(f"{name}: {' '.join(told)}")
