"""An authenticator or a credential as the gateway has it, entered, for one visit of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from ..auth.link import Link
from ..auth.members import read_members
from ..contract import Authenticator, Credential
from ..credentials.link import CredentialLink
from .watching import Belongings

_T = TypeVar("_T")
_Use = Callable[[CredentialLink], Coroutine[Any, Any, _T]]
DEADLINE = timedelta(seconds=30)
_OFTEN = timedelta(seconds=1)


def linked(authenticator: Authenticator, use: Callable[[Link], Coroutine[Any, Any, _T]]) -> _T:
    """What `use` makes of it, in an event loop of its own."""
    return asyncio.run(visited(authenticator, use))


def abandoning(
    authenticator: Authenticator, use: Callable[[Link], Coroutine[Any, Any, _T]], deadline: timedelta = DEADLINE
) -> _T:
    """The same, for a use that gives up questions: wait until nothing of them is left."""

    async def run() -> _T:
        before = Belongings()
        result = await visited(authenticator, use, deadline)
        await before.settle()
        return result

    return asyncio.run(run())


async def visited(
    authenticator: Authenticator, use: Callable[[Link], Coroutine[Any, Any, _T]], deadline: timedelta = DEADLINE
) -> _T:
    """What `use` makes of it, in this event loop."""
    asked_again = _OFTEN if read_members("it", authenticator).still_valid is not None else None
    async with Link("it", authenticator, deadline=deadline, workers=4, revalidate=asked_again) as link:
        return await use(link)


def presenting(credential: Credential, use: _Use[_T], deadline: timedelta = DEADLINE) -> _T:
    """What `use` makes of a credential, in an event loop of its own, once nothing of it is left."""

    async def run() -> _T:
        before = Belongings()
        result = await shown(credential, use, deadline)
        await before.settle()
        return result

    return asyncio.run(run())


async def shown(credential: Credential, use: _Use[_T], deadline: timedelta = DEADLINE) -> _T:
    """What `use` makes of a credential, in this event loop."""
    async with CredentialLink("it", credential, deadline=deadline, workers=4) as link:
        return await use(link)
