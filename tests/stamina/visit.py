"""One client, from its connection to its end, and many of them at a fixed rate. A client never raises: it says why."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from struct import pack

from bench.messages import CT_IMAGE_STORAGE, LAST_FRAGMENT, RELEASE_RQ, STORE_RQ
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.raw_client import p_data

PATIENCE = 10.0  # seconds that a client waits for an answer
_CLASS, _INSTANCE = CT_IMAGE_STORAGE + b"\0", b"1.2.3.4\0"
_OBJECT = b"".join(pack("<HHL", 8, tag, len(value)) + value for tag, value in ((0x16, _CLASS), (0x18, _INSTANCE)))
STORE = STORE_RQ + p_data(_OBJECT, control=LAST_FRAGMENT)
"""A C-STORE-RQ with as small an object as there is; its context is 1."""
_ANSWERS = {2: "accepted", 3: "rejected", 4: "answered", 6: "released", 7: "aborted"}


@dataclass
class Login:
    """One client: what it came as, when, how long it waited for its answer, what that was, and how it ended."""

    calling: str
    kind: str
    user: str
    began: float
    took: float = 0.0
    answer: str = ""
    end: str = ""
    ended: float = 0.0

    @property
    def good(self) -> bool:
        """Accepted, served, released."""
        return self.end == "released"


Play = Callable[[Login, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What a client does on its connection. It may raise TimeoutError and OSError."""


async def visit(
    login: Login, play: Play, address: Address, *, tls: ssl.SSLContext | None = None, source: str | None = None
) -> None:
    """Connect, from this address if one is given; play; close."""
    writer = None
    try:
        connecting = asyncio.open_connection(*address, ssl=tls, local_addr=source and (source, 0))
        reader, writer = await asyncio.wait_for(connecting, PATIENCE)
        await play(login, reader, writer)
    except TimeoutError:
        login.end = "no answer"
    except OSError as error:
        login.end = type(error).__name__
    over(login)
    if writer is not None:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def served(request: bytes, messages: Sequence[bytes], *, lasts: float = 0.0) -> Play:
    """Log in, send each of the messages and take its answer, stay for so many seconds, release."""

    async def play(login: Login, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        login.answer = login.end = await ask(reader, writer, request)
        login.took = time.monotonic() - login.began
        if login.answer == "accepted":
            for message in messages:
                login.end = await ask(reader, writer, message)
                if login.end != "answered":
                    return
            await asyncio.sleep(lasts)
            login.end = await ask(reader, writer, RELEASE_RQ)

    return play


def over(login: Login) -> None:
    """It has ended now."""
    login.answer = login.answer or login.end
    login.took = login.took or time.monotonic() - login.began
    login.ended = time.monotonic()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> str:
    """Send; the PDU that answers, in a word, with the fields of a rejection. Raises TimeoutError, OSError."""

    async def answer() -> str:
        head = await reader.readexactly(6)
        body = await reader.readexactly(int.from_bytes(head[2:], "big"))
        said = _ANSWERS[head[0]]
        return f"{said} {body[1]},{body[2]},{body[3]}" if said == "rejected" else said

    writer.write(data)
    try:
        return await asyncio.wait_for(answer(), PATIENCE)
    except asyncio.IncompleteReadError:
        return "closed"


Visits = Callable[[int], Iterable["asyncio._CoroutineLike[None]"]]
"""Who comes next, by the number of those who came before."""


def under(visits: Visits, rate: float, doing: Callable[[], None]) -> None:
    """Do this in a thread while so many clients come each second; return when the last has its answer."""

    async def both() -> None:
        ended = asyncio.Event()
        clients = asyncio.create_task(_come(visits, rate, ended))
        try:
            await asyncio.to_thread(doing)
        finally:
            ended.set()
            await clients

    asyncio.run(both())


async def _come(visits: Visits, rate: float, ended: asyncio.Event) -> None:
    began, number, tasks = time.monotonic(), 0, set[asyncio.Task[None]]()
    while not ended.is_set():
        for doing in visits(number):
            task = asyncio.create_task(doing)
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        number += 1
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
    while tasks:
        await asyncio.wait(tasks)
