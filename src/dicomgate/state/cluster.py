"""What gateways on one Redis say to each other, as a protocol: who is there, questions, places.

Rule 1: each gateway looks once a second whether anything is asked (`beat`). Nothing is written for an association that
        no limit applies to: who wants to know of it asks, and its gateway answers.
Rule 2: what a gateway says counts for the time of a lease, which it renews. One that is gone is forgotten at its end.
Rule 3: every method ends within the store's deadline, with its answer or with `StateUnavailable`.
Rule 4: all gateways use the store's clock; what is told here are durations.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from ..errors import StateUnavailable

__all__ = ["Beat", "Cluster", "Member", "Order", "StateUnavailable", "Times"]


class Times(NamedTuple):
    """In seconds: how often a gateway looks, how long a lease lasts, and how long others wait for its answer.

    `catch_up`: how long an order stands, for a gateway that cannot reach the store just now.
    """

    beat: float = 1.0
    lease: float = 30.0
    answer: float = 3.0
    catch_up: float = 60.0


class Member(NamedTuple):
    """A running gateway: its name in the configuration, and an id of this run, at random."""

    name: str
    run: str


class Order(NamedTuple):
    """What a gateway has asked or ordered: `text` is as it wrote it, `age` and `left` tell since when, and how long."""

    id: str
    by: str
    """The run of that gateway."""
    text: str
    age: float
    left: float


class Beat(NamedTuple):
    """What a gateway hears. `new`: it was not there; if it was before, its lease has ended, or the store is empty.

    `members` are all that are there, each with the end of its lease, by the store's clock.
    `orders` are those that stand, the oldest first, if there is one since the last beat; also those heard before.
    """

    new: bool
    members: dict[Member, float]
    orders: list[Order]


class Cluster(Protocol):
    """One gateway's place among the others. Every method is atomic, and raises StateUnavailable within the deadline."""

    times: Times
    me: Member

    async def beat(self) -> Beat:
        """Renew this gateway's lease, and hear what others have ordered."""
        ...

    async def order(self, text: str, seconds: float, *, outlast: bool = False) -> tuple[str, list[Member]]:
        """Order something of all others, of those too that come within these seconds: its id, and who is there.

        `outlast`: and of those that come while any earlier order stands.
        """
        ...

    async def answer(self, order_id: str, number: int, piece: str, *, last: bool) -> None:
        """Answer an order with a piece, numbered from 1; `last`: it is the last."""
        ...

    async def answered(self, order_id: str, members: Sequence[Member]) -> list[int]:
        """How many pieces the answer of each of these has; 0 while it is not whole."""
        ...

    async def piece(self, order_id: str, member: Member, number: int) -> str:
        """A piece of an answer; "" if it is not there any more."""
        ...

    async def enter(self, principal: str, session_id: str, limit: int, gone: Collection[str]) -> bool:
        """Give an association one of the places of its user, unless all are taken; first take back those of `gone`."""
        ...

    async def keep(self, held: Mapping[str, Collection[str]], gone: Mapping[str, Collection[str]]) -> None:
        """Renew the leases of the places that these associations hold, by principal, and take back those of `gone`."""
        ...

    async def close(self) -> None:
        """Give the lease back, so that nobody waits for this gateway, and close the connections. Never raises."""
        ...
