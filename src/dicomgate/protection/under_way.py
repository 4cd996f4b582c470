"""The attempts that are being verified now, by the counters that have counted them.

Clients that come at once must not lock each other out: where a counter lets no more through, and some of those that it
has counted are still being verified, the next attempt waits for one of them to end.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection


class UnderWay:
    """For one event loop."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def __bool__(self) -> bool:
        return bool(self._count or self._waiting)

    def begin(self, counters: Collection[str]) -> None:
        """An attempt that these have counted is being verified. Call `end` with them, whatever happens."""
        self._count.update(counters)

    def end(self, counters: Collection[str]) -> None:
        """It is over. Of those who wait one goes on, and all of them if there is nobody left to wait for."""
        for counter in counters:
            self._count[counter] -= 1
            left = self._count[counter]
            if not left:
                del self._count[counter]
            waiting = self._waiting.get(counter, ())
            awake = [one for one in waiting if not one.done()]
            for one in awake if not left else awake[:1]:
                one.set_result(None)

    async def one_ended(self, counter: str) -> bool:
        """Wait until one of those that this counter has counted has ended. False, at once, if there is none."""
        if counter not in self._count:
            return False
        waiting = self._waiting.setdefault(counter, deque())
        mine = asyncio.get_running_loop().create_future()
        waiting.append(mine)
        try:
            await mine
        finally:
            waiting.remove(mine)
            if not waiting and self._waiting.get(counter) is waiting:
                del self._waiting[counter]
        return True
