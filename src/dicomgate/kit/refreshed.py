"""A value that is fetched again and again, for example an issuer's keys from its URL.

Rule 1: one fetch at a time, for all callers that wait for it, and no other one until the cool-down has passed. Neither
        a thousand tokens with invented key names nor a server that is down cause more than a few fetches.
Rule 2: while fetches fail, the last value stays in use until it is stale.
Rule 3: one log line for each change.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from ..contract import Probed
from ..errors import FetchError

T = TypeVar("T")


class Refreshed(Generic[T]):
    """The last value that `fetch` returned. Used in one event loop at a time; `latest` in any thread.

    As an asynchronous context manager it begins the first fetch at once and ends what is under way at the end. With
    `background` it fetches every `refresh` seconds without being asked.

    `fetch` raises FetchError. Any other exception is a defect: it is logged with its traceback and counts as a failure.
    `lives` says for how many seconds a value counts, where each says so itself: `stale`; half of it is `refresh`.
    `what` names the value in messages; `describe` returns the text of the log line for a value that became available.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        *,
        what: str,
        log: logging.Logger,
        describe: Callable[[T], str],
        cool_down: float,
        refresh: float = math.inf,
        stale: float = math.inf,
        background: bool = False,
        lives: Callable[[T], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._what = what
        self._log = log
        self._describe = describe
        self._cool_down = cool_down
        self._refresh = refresh
        self._stale = stale
        self._background = background
        self._lives = lives
        self._clock = clock
        self._held: tuple[T, float] | None = None
        self._tried = -math.inf
        self._failed = ""
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Refreshed[T]:
        self._begin()
        if self._background:
            self._tasks["background"] = asyncio.get_running_loop().create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel the fetch that is under way, if there is one, and begin no other by itself."""
        for task in self._tasks.values():
            if task.cancel():
                self._tried = -math.inf  # a fetch that was cut off has not been tried
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    def latest(self) -> T:
        """The last value, without waiting. Raises FetchError if there is none or it is stale."""
        held = self._held
        if held is None or self._clock() - held[1] > self._stale:
            raise self._unavailable()
        return held[0]

    def is_current(self, value: T) -> bool:
        """True if this is the last value, and it is not stale."""
        return self._held is not None and self._held[0] is value and self._clock() - self._held[1] <= self._stale

    def may_fetch(self) -> bool:
        """True if the cool-down has passed: a caller of `newest` would begin another fetch."""
        return self._clock() - self._tried >= self._cool_down

    async def current(self) -> T:
        """The last value if it is younger than `refresh`; otherwise wait for a fetch. Raises FetchError.

        From half that age on a fetch begins ahead of time, so that no caller has to wait for it.
        """
        age = math.inf if self._held is None else self._clock() - self._held[1]
        if self._held is None or age > self._refresh / 2:
            self._begin()
        if self._held is None or age > self._refresh:
            await self.settled()
        return self.latest()

    async def newest(self) -> T:
        """The value after another fetch, unless the last one was a moment ago. Raises FetchError if that one failed."""
        self._begin()
        await self.settled()
        if self._failed:
            raise self._unavailable()
        return self.latest()

    async def probe(self) -> Probed:
        """For an authenticator's `probe`: fetch it again, unless the last fetch was a moment ago."""
        try:
            return Probed(self._what, detail=self._describe(await self.newest()))
        except FetchError as error:
            return Probed(self._what, str(error))

    async def settled(self) -> None:
        """Wait until no fetch is under way. A caller that is cancelled here does not cancel the fetch."""
        fetch = self._tasks.get("fetch")
        if fetch is not None and not fetch.done():
            await asyncio.wait((fetch,))

    def doubt(self) -> None:
        """The value turned out to be wrong: forget it, unless it was fetched within the cool-down."""
        if self.may_fetch():
            self._held = None

    def _begin(self) -> None:
        running = self._tasks.get("fetch")
        if (running is None or running.done()) and self.may_fetch():
            self._tried = self._clock()
            self._tasks["fetch"] = asyncio.get_running_loop().create_task(self._fetch_once())

    async def _keep(self) -> None:
        while True:
            self._begin()
            await self.settled()
            again = self._failed or self._held is None
            await asyncio.sleep(self._cool_down if again else self._refresh)

    async def _fetch_once(self) -> None:
        try:
            value = await self._fetch()
        except FetchError as error:
            if str(error) != self._failed:
                self._log.error("%s cannot be fetched: %s", self._what, error)
            self._failed = str(error)
        except Exception as error:  # noqa: BLE001 (a defect; the next fetch may succeed)
            self._failed = type(error).__name__
            self._log.exception("%s cannot be fetched: a defect", self._what)
        else:
            if self._failed or self._held is None:
                self._log.info("%s: %s", self._what, self._describe(value))
            self._held, self._failed = (value, self._clock()), ""
            if self._lives is not None:
                self._stale = self._lives(value)
                self._refresh = self._stale / 2

    def _unavailable(self) -> FetchError:
        return FetchError(f"{self._what} cannot be fetched: {self._failed or 'not yet'}")
