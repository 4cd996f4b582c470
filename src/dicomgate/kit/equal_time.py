"""No refusal sooner than a verification takes: how long an answer took must not tell which users exist."""

from __future__ import annotations

import secrets
import time

BLUR = 0.002
"""Seconds. Long sleeps wake with a different jitter than short ones; a random delay of up to this hides it."""


def seconds_left(start: float, floor: float, blur: float = BLUR) -> float:
    """How long to wait before answering a login: 0 or more, in seconds.

    The login began at `start` (time.monotonic). The answer comes `floor` seconds after that at the earliest, plus up to
    `blur` seconds at random.
    """
    return max(0.0, start + floor + secrets.randbelow(round(blur * 1e6)) / 1e6 - time.monotonic())
