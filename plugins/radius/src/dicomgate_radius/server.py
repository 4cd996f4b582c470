"""One server: its name looked up, its socket opened.

Rule 1: the name is looked up at the start, and again after each question that got no answer. No login waits for that
        as long as there is an address to ask.
Rule 2: when an address does not answer, the next one of the name is taken. If there is only one, a new socket is
        opened: a connected socket keeps this machine's own address, which may have changed.
Rule 3: if the name cannot be looked up, the old socket stays in use.
"""

from __future__ import annotations

import asyncio
import socket

from pyrad.packet import Packet

from dicomgate.kit.failover import BusyError, NoAnswerError

from .conversation import Conversation
from .messages import Question


class Server:
    """Within one event loop."""

    def __init__(self, host: str, port: int, secret: bytes, retry_after: float) -> None:
        self._host, self._port = host, port
        self._secret = secret
        self._retry_after = retry_after
        self._conversation: Conversation | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._problem = ""

    async def begin(self, seconds: float) -> str:
        """Look up the name and open a socket, within `seconds`. Returns why it cannot be asked yet; "" if it can."""
        beginning = self._begin()
        await asyncio.wait((beginning,), timeout=seconds)
        if self._conversation is not None:
            return ""
        return self._problem if beginning.done() else "looking up its name takes too long"

    async def ask(self, question: Question, seconds: float) -> Packet:
        """The answer, verified. Raises BusyError, and NoAnswerError after `seconds` at the latest."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        if self._conversation is None and (problem := await self.begin(seconds)):
            raise NoAnswerError(problem)
        conversation = self._conversation
        if conversation is None:
            raise NoAnswerError("it was closed meanwhile")
        try:
            return await conversation.ask(question, max(0.0, end - loop.time()))
        except BusyError:
            raise
        except NoAnswerError:
            if conversation is self._conversation:
                self._begin()
            raise

    async def close(self) -> None:
        """End the look-up, if one is under way, and close the socket."""
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning.cancel()
            await asyncio.wait((beginning,))
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            await conversation.end()

    def _begin(self) -> asyncio.Task[None]:
        """The one look-up that is under way; begun now if there is none."""
        if self._beginning is None or self._beginning.done():
            self._beginning = asyncio.create_task(self._look_up_and_connect())
        return self._beginning

    async def _look_up_and_connect(self) -> None:
        old = self._conversation
        try:
            addresses = await self._look_up()
            # The address after the old one; the first, if there is no old one or the name no longer has it.
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
