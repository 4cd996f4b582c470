"""The counters of failed logins, as the page shows them."""

from __future__ import annotations

import asyncio
import time

from ...errors import StateUnavailable
from ...state.protocol import Count
from ..operator import Operator

_LAST = 10.0  # seconds


class FailedLogins:
    """The counters of failed logins, asked for at most every ten seconds, however many pages are open."""

    def __init__(self) -> None:
        self._until = 0.0
        self._answer: tuple[list[Count], str] = ([], "")
        self._asking = asyncio.Lock()

    def forget(self) -> None:
        """Ask the next time."""
        self._until = 0.0

    async def __call__(self, operator: Operator) -> tuple[list[Count], str]:
        """The counters, and why they cannot be told; "" if they can."""
        async with self._asking:
            if time.monotonic() >= self._until:
                try:
                    self._answer = await operator.throttled(), ""
                except StateUnavailable as error:
                    self._answer = [], str(error)
                self._until = time.monotonic() + _LAST
        return self._answer
