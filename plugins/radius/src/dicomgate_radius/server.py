"""One server, as the operator names it: its name looked up, its conversation begun.

Rule 1: the name is looked up at the start, and again after a question that was not answered; never in the way of a
        question, as long as there is an address to ask.
Rule 2: when an address does not answer, the next one is taken; if it is the only one, with another socket: this
        machine's own address, which a connected socket keeps, may have changed.
Rule 3: a name that cannot be looked up takes nothing away: the old socket stays.
"""

from __future__ import annotations

import asyncio
import socket

from pyrad.packet import Packet

from .conversation import Conversation, NoAnswerError
from .messages import Question


class Server:
    """Within one event loop. `name` is for the log."""

    def __init__(self, host: str, port: int, secret: bytes, retry_after: float) -> None:
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._host, self._port = host, port
        self._secret = secret
        self._retry_after = retry_after
        self._conversation: Conversation | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._problem = ""

    async def begin(self, seconds: float) -> str:
        """Look up the name and open a socket; wait for it so long. Why it cannot be asked yet, empty if it can."""
        beginning = self._begin()
        await asyncio.wait((beginning,), timeout=seconds)
        if self._conversation is not None:
            return ""
        return self._problem if beginning.done() else "looking up its name takes too long"

    async def ask(self, question: Question, seconds: float) -> Packet:
        """The answer, verified. Raises TooManyError, and NoAnswerError after so many seconds at the latest."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if self._conversation is None and (problem := await self.begin(seconds)):
            raise NoAnswerError(problem)
        conversation = self._conversation
        if conversation is None:
            raise NoAnswerError("it was closed meanwhile")
        try:
            return await conversation.ask(question, max(0.0, end - loop.time()))
        except NoAnswerError:
            if conversation is self._conversation:
                self._begin()
            raise

    async def close(self) -> None:
        """Look nothing up any more, and close the socket."""
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning.cancel()
            await asyncio.wait((beginning,))
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            await conversation.end()

    def _begin(self) -> asyncio.Task[None]:
        """At most one look-up is under way; whoever needs it awaits the same."""
        if self._beginning is None or self._beginning.done():
            self._beginning = asyncio.create_task(self._look_up_and_connect())
        return self._beginning

    async def _look_up_and_connect(self) -> None:
        old = self._conversation
        try:
            addresses = await self._look_up()
            # The one behind the old one; the first, if there is no old one or it is not among them any more.
            place = addresses.index(old.address) + 1 if old is not None and old.address in addresses else 0
            new = Conversation(addresses[place % len(addresses)], self._secret, self._retry_after)
            await new.begin()
        except OSError as error:
            self._problem = error.strerror or str(error)
            return
        self._conversation = new
        if old is not None:
            await old.end()

    async def _look_up(self) -> list[tuple[str, int]]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        return list(dict.fromkeys((str(address[0]), self._port) for *_, address in found))
