"""Ask an address of a PACS whether it is there: by TCP, or by a C-ECHO on an association of its own."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

from ..errors import StartError
from ..wire.echo import EchoTalk
from ..wire.reject_abort import PduError
from .connection import Connection
from .dial import Upstream

PATIENCE = 2.0
"""Seconds that a check may take, connecting included."""
_AT_ONCE = 16_384


class Titles(NamedTuple):
    """The AE titles of a C-ECHO."""

    calling: str
    called: str


async def check(upstream: Upstream, titles: Titles | None) -> tuple[str, str]:
    """What is wrong with this address, "" if nothing is; and what it does not like about it, or "".

    Without `titles` it is only connected, TLS included. Takes `PATIENCE` at most.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    try:
        connection = await upstream.open(PATIENCE)
    except StartError as error:
        return str(error), ""
    try:
        if titles is None:
            return "", ""
        talk, over = EchoTalk(*titles), loop.create_future()
        connection.on_broken = partial(_broken, over)
        connection.read_with(partial(_read, connection, talk, over))
        connection.send(talk.request)
        async with asyncio.timeout_at(deadline):
            await over
        problem = ""
    except TimeoutError:
        problem = f"no answer to a C-ECHO within {PATIENCE:g} s"
    except (OSError, PduError) as error:
        problem = f"a C-ECHO failed: {error}"
    finally:
        connection.close()
    if talk.problem:
        problem = f"a C-ECHO failed: {talk.problem}"
    elif talk.answered:  # some end the connection where they should answer the release: they are there all the same
        problem = ""
    return problem, talk.remark


def _read(connection: Connection, talk: EchoTalk, over: asyncio.Future[None]) -> None:
    buffer = bytearray(_AT_ONCE)
    try:
        count = connection.receive(memoryview(buffer))
        if not count:
            raise ConnectionError("the connection ended")
        if answer := talk.take(bytes(buffer[:count])):
            connection.send(answer)
    except BlockingIOError:
        return
    except (OSError, PduError) as error:
        _broken(over, error)
        return
    if talk.done and not over.done():
        over.set_result(None)


def _broken(over: asyncio.Future[None], error: Exception) -> None:
    if not over.done():
        over.set_exception(error)
