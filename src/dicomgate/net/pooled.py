"""A PACS with several addresses, and the way of one association to it: one address after the other.

Law: all attempts together have the upstream's `timeout`; each has at most `connect_timeout`, TLS included, and at most
its share of what is left, so that the last one can still answer. When this is over, the next address is asked. After a
request was sent, it is the handshake that asks for another one: it knows what may be sent twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from ..association import effects as do
from ..events.events import Facts
from ..kit.race import Race
from ..wire.proxy import Client
from .checking import Titles
from .connection import Connection
from .dial import TakeData, TakeEnd, Upstream
from .pool import Conduct, Member, Pool

_log = logging.getLogger("dicomgate.upstream")
_SLACK = 0.05
"""Seconds that are left for telling what happened at the last address, before the time of all is over."""


class Looks(NamedTuple):
    """How addresses are looked after, in seconds: names are looked up each `refresh`, and checks come each `interval`.

    With `titles` the checks are by C-ECHO, without they only connect. If not `checked`, there are none.
    """

    checked: bool = False
    titles: Titles | None = None
    interval: float = 10.0
    refresh: float = 60.0


class PooledUpstream:
    """One PACS with several addresses, which `addresses` has by their names. Times are in seconds."""

    def __init__(
        self,
        name: str,
        addresses: Mapping[str, Upstream],
        conduct: Conduct,
        timeout: float,
        connect_timeout: float,
        looks: Looks,
    ) -> None:
        self.name = name
        self.addresses = addresses
        self.pool = Pool(name, list(addresses), conduct, partial(_log.warning, "upstream %s: %s", name))
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.looks = looks

    async def look_up(self) -> None:
        """Look up all addresses, as an `Upstream` does."""
        await asyncio.gather(*(upstream.look_up() for upstream in self.addresses.values()))

    async def close(self) -> None:
        """Wait for no look-up any longer."""
        for upstream in self.addresses.values():
            await upstream.close()

    def way(self, facts: Facts) -> Trip:
        """The way of this association."""
        return Trip(self, facts)


class Trip:
    """One association's way to a pool. It is on its way to `member`, or has reached it; None before and after."""

    __slots__ = ("_client", "_deadline", "_facts", "_failed", "_loop", "_opened", "_race", "_reasons", "_timer", "_to",
                 "_tried", "member")  # fmt: skip

    def __init__(self, to: PooledUpstream, facts: Facts) -> None:
        self._to = to
        self._facts = facts
        self._deadline = 0.0
        self._tried: list[Member] = []
        self._reasons: list[str] = []
        self._race: Race[Connection] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.member: Member | None = None

    def connect(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: Callable[[Connection], None],
        failed: Callable[[str], None],
        client: Client | None = None,
    ) -> Trip:
        """Its `begin` asks the next address; it calls `opened` once, or `failed` with what happened at each."""
        self._loop, self._opened, self._failed, self._client = loop, opened, failed, client
        self._deadline = self._deadline or loop.time() + self._to.timeout - _SLACK
        return self

    def begin(self) -> None:
        """Connect to the next address."""
        self.leave()
        pool, now = self._to.pool, self._loop.time()
        candidates = pool.candidates(self._tried, self._key(), now)
        if not candidates:
            failed, reasons = self._failed, [*self._reasons, pool.why(now, self._tried)]
            self._forget()
            failed("; ".join(filter(None, reasons)))
            return
        self.member = member = candidates[0]
        self._tried.append(member)
        pool.ask(member, now)
        upstream = self._to.addresses[member.name]
        told = self._reached, partial(self._lost, member)
        self._race = race = upstream.connect(self._loop, *told, self._client, patience=0.0)
        race.begin()
        if self._race is race:  # there is no answer yet
            share = max(0.0, self._deadline - now) / len(candidates)
            self._timer = self._loop.call_later(min(self._to.connect_timeout, share), self._silent, member)

    def cancel(self) -> None:
        """Give up without calling back."""
        if self._race is not None:
            self._race.cancel()
        self.leave()
        self._forget()

    @property
    def address(self) -> str:
        """The one that it is on its way to, or has reached."""
        return self.member.name if self.member else ""

    def so_far(self) -> str:
        """What has happened at each address until now."""
        under_way = "" if self._race is None or self.member is None else _at(self.member, self._race.so_far())
        return "; ".join(filter(None, [*self._reasons, under_way]))

    def watched(self, data: TakeData, end: TakeEnd) -> tuple[TakeData, TakeEnd]:
        """The same, but that the pool hears of it."""
        return partial(self._answered, data), partial(self._ended, end)

    def did_not_answer(self, connection: Connection) -> str:
        """The address took the A-ASSOCIATE-RQ and did not answer it. Returns it as text."""
        if self.member is None:
            return ""
        self._to.addresses[self.member.name].did_not_answer(connection)
        self._to.pool.failed(self.member, "no answer to the A-ASSOCIATE-RQ", self._loop.time())
        return self.member.name

    def leave(self) -> None:
        """The association does not go to this address, or not any more."""
        if self.member is not None:
            self.member.ended()
            self.member = None

    def _key(self) -> str:
        facts = self._facts
        if self._to.pool.conduct.balance == "user":
            return f"{facts.authenticator}/{facts.user}"
        return facts.calling_ae_title

    def _reached(self, connection: Connection) -> None:
        if self._reasons and self.member is not None:
            _log.warning("upstream %s: %s; %s answers", self._to.name, "; ".join(self._reasons), self.member.name)
        opened = self._opened
        self._forget()
        opened(connection)

    def _lost(self, member: Member, why: str) -> None:
        self._stop()
        self._reasons.append(_at(member, why))
        self._to.pool.failed(member, why.removeprefix(f"{member.name}: "), self._loop.time())
        self.begin()

    def _silent(self, member: Member) -> None:
        if self._race is not None:
            why = self._race.so_far()
            self._race.cancel()
            self._lost(member, why)

    def _answered(self, data: TakeData, received: bytes) -> do.Effects:
        if self.member is not None:
            self._to.pool.answered(self.member)
        return data(received)

    def _ended(self, end: TakeEnd, detail: str) -> do.Effects:
        if self.member is not None:
            self._to.pool.failed(self.member, f"the connection ended{detail and f' ({detail})'}", self._loop.time())
        return end(detail)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._race = None

    def _forget(self) -> None:
        self._stop()
        # Their owner refers to this: a way that is over needs no garbage collector.
        self._opened = self._failed = _nothing


def _at(member: Member, why: str) -> str:
    """What happened at an address, whose name may be there already."""
    return why if why.startswith(member.name) else f"{member.name}: {why}"


def _nothing(*_: object) -> None: ...
