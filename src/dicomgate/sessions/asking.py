"""A question to all other gateways on the same Redis, and their answers in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..errors import StateUnavailable
from ..state.cluster import Cluster, Member
from .namesakes import names_of

SESSIONS = "sessions"
"""The question for all associations."""
KICK = "kick "
"""What an order begins with; see `kick`."""
_POLL = 0.1
"""Seconds between two looks for answers."""
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Heard(Generic[_Row]):
    """The answers of the other gateways by node. `silent` are those that are there, and gave none in time.

    `problem`: why the others could not be asked, or not all of them be heard; else "".
    """

    answers: dict[str, list[_Row]] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    problem: str = ""


async def ask(
    cluster: Cluster, text: str, read: Callable[[str, str], list[_Row]], stands: float = 0.0, outlast: bool = False
) -> Heard[_Row]:
    """Ask all others, those too that come in the `stands` seconds to come; `outlast`: as long as any order stands.

    `read` reads a piece of the answer of the gateway that is named; a gateway whose answer it cannot read, for which it
    raises ValueError, is silent.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + cluster.times.answer
    answers: dict[str, list[_Row]] = {}
    names: dict[Member, str] = {}
    silent: set[Member] = set()
    problem = ""
    try:
        order, waiting = await cluster.order(text, max(stands, cluster.times.answer), outlast=outlast)
        names = names_of([*waiting, cluster.me])
        silent = {*waiting}
        while waiting and loop.time() < until:
            counts = await cluster.answered(order, waiting)
            ready = [(member, count) for member, count in zip(waiting, counts, strict=True) if count]
            for member, count in ready:
                waiting.remove(member)
                with suppress(ValueError):
                    rows: list[_Row] = []
                    for number in range(1, count + 1):
                        rows += read(await cluster.piece(order, member, number), names[member])
                    answers.setdefault(names[member], []).extend(rows)
                    silent.remove(member)
            if waiting:
                await asyncio.sleep(min(_POLL, cluster.times.beat))
    except StateUnavailable as error:
        problem = str(error)
    return Heard(answers, tuple(sorted(names[member] for member in silent)), problem)
