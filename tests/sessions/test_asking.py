"""What is made of the answers of other gateways."""

from __future__ import annotations

from typing import cast

import pytest

from dicomgate.sessions.asking import Heard, ask
from dicomgate.state.cluster import Cluster, Member, Times

pytestmark = pytest.mark.anyio
TWINS = [Member("twin", "a" * 16), Member("twin", "b" * 16), Member("twin#aaaaaa", "c" * 16)]


class Others:
    """They all answer, but one."""

    times = Times(answer=0.01)
    me = Member("me", "0" * 16)

    async def order(self, text: str, seconds: float, *, outlast: bool) -> tuple[str, list[Member]]:
        return "1", [*TWINS, Member("gate 2", "d" * 16)]

    async def answered(self, order_id: str, members: list[Member]) -> list[int]:
        return [int(member in TWINS) for member in members]

    async def piece(self, order_id: str, member: Member, number: int) -> str:
        return member.run[0]


async def test_gateways_that_cannot_be_told_apart_by_their_names_are_all_heard() -> None:
    heard: Heard[str] = await ask(cast("Cluster", Others()), "sessions", lambda piece, _: [piece])
    assert heard == Heard({"twin#aaaaaa": ["a", "c"], "twin#bbbbbb": ["b"]}, ("gate 2",))
