"""Charges that are passed on, from a token that proved genuine to the next one of the same source.

A fresh token is a guess like any other, and is counted before it is verified. To count it and to reset the counter
takes longer than to verify it, for the store answers in a thread or over a network.

Rule 1: a charge is for one attempt at a time, which was counted with it before it began. Only if that proves genuine
        does the next one have it. With any other outcome it is used up: it stays counted, also if the process ends.
Rule 2: a genuine login resets the counters as always, and begins a period of some seconds. The charges of attempts that
        were counted in it are passed on in it and not after it; no other login of this gateway resets what they count.
Rule 3: at the end of the period the next genuine login resets the counters; without one, each charge is taken back.
Rule 4: a few for each source: another gateway with the same store counts them too.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from .throttle import Charge, Subject

SECONDS = 10.0
Write = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class _Period:
    """`begin`: the time of the event loop at which the counters had been reset. Until then, none is late enough."""

    begin: float = math.inf
    idle: list[Charge] = field(default_factory=list)


class StandingCharges:
    """At most so many for a subject. For one event loop. `write` begins a write that nobody waits for."""

    def __init__(self, most: int, write: Callable[[Write], None]) -> None:
        self._most = most
        self._write = write
        self._periods: dict[str, _Period] = {}

    def pop(self, subject: Subject) -> Charge | None:
        """A charge for one attempt of the subject; None if there is none."""
        period = self._periods.get(subject.key)
        return period.idle.pop() if period is not None and period.idle else None

    async def settle(self, subject: Subject, charge: Charge, reset: Write) -> None:
        """An attempt with this charge proved genuine; `reset` is what else would settle that. Raises what it raises."""
        period = self._periods.get(subject.key)
        if subject.account:
            await reset()
        elif period is None:
            period = self._periods[subject.key] = _Period()
            try:
                await reset()
            except BaseException:
                self._end(subject.key, period)  # unless `end` has ended it meanwhile
                raise
            loop = asyncio.get_running_loop()
            period.begin = loop.time()
            loop.call_later(SECONDS, self._end, subject.key, period)
        elif not charge.known:
            await charge.state.refund(charge.keys)
        elif charge.at >= period.begin:
            period.idle.append(charge)
            if len(period.idle) > self._most:
                self._take_back(period.idle.pop(0))
        else:  # it was counted before the counters were reset
            self._write(partial(charge.state.ended, charge.keys))

    def end(self) -> None:
        """End all periods: each charge that no attempt uses is taken back."""
        for key, period in list(self._periods.items()):
            self._end(key, period)

    def _end(self, key: str, period: _Period) -> None:
        if self._periods.get(key) is period:
            del self._periods[key]
        while period.idle:
            self._take_back(period.idle.pop())

    def _take_back(self, charge: Charge) -> None:
        self._write(partial(charge.state.refund, charge.keys))
