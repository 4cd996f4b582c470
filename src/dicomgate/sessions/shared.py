"""The places of users at all gateways together: counted in the Redis that they share.

Rule 1: who is to come in waits for one answer of that Redis, which counts in the same step. The places that are held
        are told again in time, all those of a gateway together, so that Redis may forget everything and learn it again.
Rule 2: a place that is given back is taken back at once, and again until Redis has heard of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Mapping
from itertools import islice

from ..auth.plugged import Pending
from ..errors import StateUnavailable
from ..events.events import ReasonClass
from ..state.cluster import Cluster
from .users import Counted, NoPlace, Principal

_log = logging.getLogger("dicomgate.limits")
_AT_ONCE = 500
"""Places in one run: Redis does nothing else meanwhile, nor does the event loop."""


class _Entering:
    """An association that waits for its place."""

    def __init__(self, told: Counted) -> None:
        self.told: Counted | None = told

    def cancel(self) -> None:
        """It waits no longer."""
        self.told = None


class SharedPlaces:
    """The places that associations of this gateway hold in `cluster`, which may be set anew; None: there is none.

    `alone`: while Redis is out of reach, the limit of this gateway alone counts; else nobody with a limit comes in.
    """

    def __init__(self) -> None:
        self.cluster: Cluster | None = None
        self.alone = True
        self._held: dict[str, set[str]] = {}
        self._gone: dict[str, set[str]] = {}
        self._telling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flush_begun = False
        self._away_since: float | None = None

    def enter(self, principal: Principal, session_id: str, limit: int, told: Counted) -> Pending:
        """Ask for a place for this association of a user who may have `limit`; `told` is called later, once.

        Who cancels it, or is told that it has none, need not `leave`.
        """
        if self.cluster is None:
            raise RuntimeError("there is no cluster to count in")
        entering = _Entering(told)
        self._begin(self._enter(self.cluster, "\0".join(principal), session_id, limit, entering))
        return entering

    def leave(self, principal: Principal, session_id: str) -> None:
        """Give the place back."""
        key = "\0".join(principal)
        _drop(self._held, key, {session_id})
        self._take_back(key, session_id)

    async def renew(self) -> None:
        """Tell Redis again which places are held, and which are not any more."""
        async with self._telling:
            for some in _parts(self._held):
                if not await self._told(some, {}):
                    return
        await self._flush()

    async def close(self) -> None:
        """Wait for what is under way: each is over within the deadline of the store."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _enter(self, cluster: Cluster, key: str, session_id: str, limit: int, entering: _Entering) -> None:
        refusal: NoPlace | None = None
        try:
            if not await cluster.enter(key, session_id, limit, self._gone.get(key, ())):
                refusal = ReasonClass.USER_LIMIT, f"too many associations at all gateways together ({limit})"
            self._reached("")
        except StateUnavailable as error:
            self._reached(str(error))
            if not self.alone:
                refusal = ReasonClass.UNAVAILABLE, str(error)
                self._take_back(key, session_id)  # it may have been counted
        if entering.told is None:
            self._take_back(key, session_id)
        else:
            if refusal is None:
                self._held.setdefault(key, set()).add(session_id)
            entering.told(refusal)

    def _take_back(self, key: str, session_id: str) -> None:
        if self._away_since is None:
            self._gone.setdefault(key, set()).add(session_id)
            if not self._flush_begun:
                self._flush_begun = True
                self._begin(self._flush())
        elif self.cluster and asyncio.get_running_loop().time() - self._away_since < self.cluster.times.lease:
            self._gone.setdefault(key, set()).add(session_id)  # later its lease has ended by itself

    async def _flush(self) -> None:
        async with self._telling:  # never while they are renewed: what is taken back would be there again
            self._flush_begun = False
            while some := next(_parts(self._gone), None):
                if not await self._told({}, some):
                    break
                for key, ids in some.items():
                    _drop(self._gone, key, ids)

    async def _told(self, held: Mapping[str, set[str]], gone: Mapping[str, set[str]]) -> bool:
        try:
            if self.cluster is not None:
                await self.cluster.keep(held, gone)
        except StateUnavailable as error:
            self._reached(str(error))
            return False
        self._reached("")
        return True

    def _reached(self, trouble: str) -> None:
        if trouble and self._away_since is None:
            how = "counted by this gateway alone" if self.alone else "out of reach, so users who have one are refused,"
            _log.error("limits of users are %s for now: %s", how, trouble)
            self._away_since = asyncio.get_running_loop().time()
        elif self._away_since is not None and not trouble:
            _log.info("limits of users are counted for all gateways again")
            self._away_since = None

    def _begin(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _parts(places: Mapping[str, set[str]]) -> Iterator[dict[str, set[str]]]:
    """Parts that are small enough for one run; `places` may change between two of them."""
    every = iter([(key, one) for key, ids in places.items() for one in ids])
    while some := list(islice(every, _AT_ONCE)):
        part: dict[str, set[str]] = {}
        for key, one in some:
            if one in places.get(key, ()):
                part.setdefault(key, set()).add(one)
        yield part


def _drop(places: dict[str, set[str]], key: str, ids: set[str]) -> None:
    if key in places:
        places[key] -= ids
        if not places[key]:
            del places[key]
