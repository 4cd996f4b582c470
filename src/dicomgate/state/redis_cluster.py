"""The gateways on one Redis: a `Cluster` in the same server as the state.

Each method is one run of `redis_cluster.lua`. What others wrote there is checked by who uses it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .cluster import Beat, Member, Order, StateUnavailable, Times
from .redis_client import RedisClient
from .redis_words import CLUSTER_SCRIPT

_PREFIX = "dicomgate:{state}:"  # as the state's: a script needs all its keys on one node of a Redis cluster
_KEYS = [f"{_PREFIX}{name}" for name in ("nodes", "orders", "last-order")]
_MOST_ORDERS = 1000
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_TIME = re.compile(r"\d{1,10}(\.\d{1,12})?", re.ASCII)


class RedisCluster:
    """The place of one gateway, called `node`, among the others in the server at `url`, see `redis_url`."""

    def __init__(self, url: str, node: str, times: Times | None = None, deadline: float = 1.0) -> None:
        """Does not connect yet. Raises ConfigError."""
        self.times = times or Times()
        self.me = Member(node, secrets.token_hex(8))
        # Keys that end by themselves may be dropped by any policy but one, and then a user has too many places.
        self._client = RedisClient(url, deadline, CLUSTER_SCRIPT, lambda policy: policy != "noeviction")
        self._last = "none"
        self._there = False

    async def beat(self) -> Beat:
        """See Cluster."""

        def read(answer: Any) -> Beat:
            now, new, members, last, orders = answer
            found = (_order(text, float(now), float(until)) for text, until in _pairs(orders))
            heard = sorted((order for order in found if order is not None), key=lambda order: order.age, reverse=True)
            beat = Beat(bool(new), _members(members), heard)
            self._last = last  # of those that were heard
            return beat

        self._there = True
        given = {"me": _shown(self.me), "lease": self.times.lease, "last": self._last}
        return await self._client.run("beat", _KEYS, read, given)

    async def order(self, text: str, seconds: float, *, outlast: bool = False) -> tuple[str, list[Member]]:
        """See Cluster."""
        order_id = secrets.token_hex(8)

        def read(answer: Any) -> list[Member]:
            if answer == -1:
                raise StateUnavailable(f"{_MOST_ORDERS} orders stand already")
            return [member for member in _members(answer) if member != self.me]

        order = f"{order_id} {self.me.run} {text}"
        given = {"id": order_id, "order": order, "seconds": seconds, "outlast": outlast, "most": _MOST_ORDERS}
        return order_id, await self._client.run("order", _KEYS, read, given)

    async def answer(self, order_id: str, number: int, piece: str, *, last: bool) -> None:
        """See Cluster."""
        given = {"me": self.me.run, "number": number, "piece": piece, "last": last, "seconds": self.times.answer * 2}
        await self._client.run("answer", [_answers(order_id)], bool, given)

    async def answered(self, order_id: str, members: Sequence[Member]) -> list[int]:
        """See Cluster."""

        def read(answer: Any) -> list[int]:
            return [int(one) if _COUNT.fullmatch(one) else 0 for one in answer]

        fields = [member.run for member in members]
        return await self._client.run("answers", [_answers(order_id)], read, {"fields": fields})

    async def piece(self, order_id: str, member: Member, number: int) -> str:
        """See Cluster."""
        fields = [f"{member.run} {number}"]
        return await self._client.run(
            "answers", [_answers(order_id)], lambda answer: str(answer[0]), {"fields": fields}
        )

    async def enter(self, principal: str, session_id: str, limit: int, gone: Collection[str]) -> bool:
        """See Cluster."""
        given = {"member": session_id, "limit": limit, "gone": list(gone), "lease": self.times.lease}
        return await self._client.run("enter", [_places(principal)], bool, given)

    async def keep(self, held: Mapping[str, Collection[str]], gone: Mapping[str, Collection[str]]) -> None:
        """See Cluster."""
        principals = [*{**held, **gone}]
        keys = [_places(one) for one in principals]
        both = {name: [list(of.get(one, ())) for one in principals] for name, of in (("held", held), ("gone", gone))}
        await self._client.run("keep", keys, bool, {"lease": self.times.lease, **both})

    async def close(self) -> None:
        """See Cluster."""
        if self._there:
            with suppress(StateUnavailable):
                await self._client.run("withdraw", _KEYS[:1], bool, {"me": _shown(self.me)})
        await self._client.close()


def _shown(member: Member) -> str:
    return f"{member.run} {member.name}"


def _members(answer: Any) -> dict[Member, float]:
    found = {}
    for text, until in _pairs(answer):
        run, _, name = text.partition(" ")
        found[Member(name, run)] = float(until)
    return found


def _order(text: str, now: float, until: float) -> Order | None:
    """None if no gateway has written it."""
    given, _, order = text.partition(" ")
    order_id, _, order = order.partition(" ")
    by, _, order = order.partition(" ")
    if not _ID.fullmatch(order_id) or not _TIME.fullmatch(given):
        return None
    return Order(order_id, by, order, now - float(given), until - now)


def _pairs(answer: Any) -> zip[tuple[str, str]]:
    return zip(answer[::2], answer[1::2], strict=True)


def _answers(order_id: str) -> str:
    return f"{_PREFIX}answers:{order_id}"


def _places(principal: str) -> str:
    # A name may be long, and what is in braces would place the key.
    digest = hashlib.sha256(principal.encode("utf-8", "surrogatepass"))
    return f"{_PREFIX}places:{digest.hexdigest()[:32]}"
