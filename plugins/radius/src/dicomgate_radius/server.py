"""One server: the addresses of its name, and a socket for each that is asked.

Rule 1: the name is looked up at the start, and again when an address gives no answer. No login waits for that as long
        as there is an address to ask.
Rule 2: the address that answered last is asked first. If it gives no answer for its share of the time, the next one of
        the name is asked as well, and the first answer counts.
Rule 3: after silence a new socket is opened: a connected socket keeps this machine's own address, which may have
        changed.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from pyrad.packet import Packet

from dicomgate.kit.connecting import first
from dicomgate.kit.failover import BusyError, NoAnswerError
from dicomgate.kit.host import Address, Host

from .conversation import Conversation
from .messages import Question

_log = logging.getLogger(__name__)

_SPARE = 0.2
"""Seconds before the end at which an address has no answer: what was wrong with its answers must still be told, also
by an event loop that was held up."""


class Server:
    """Within one event loop."""

    def __init__(self, host: str, port: int, secret: bytes, retry_after: float) -> None:
        self._host = Host(host, port)
        self._secret = secret
        self._retry_after = retry_after
        self._conversations: dict[Address, Conversation] = {}

    async def begin(self, seconds: float) -> str:
        """Look up the name within `seconds`. Returns why it cannot be asked yet; "" if it can."""
        await asyncio.wait((self._host.look_up(),), timeout=seconds)
        return "" if self._host.addresses() else self._host.trouble()

    async def ask(self, question: Question | None, seconds: float) -> Packet:
        """The answer, verified; None asks for the server's status. Raises BusyError, and NoAnswerError in `seconds`."""
        end = asyncio.get_running_loop().time() + seconds
        if not self._host.addresses() and (problem := await self.begin(seconds)):
            raise NoAnswerError(problem)
        share = seconds / (len(self._host.addresses()) + 1)
        ask_one = partial(self._ask_one, question, end - min(_SPARE, seconds / 10))
        kind = f"RADIUS server {self._host.name}"
        try:
            async with asyncio.timeout_at(end):
                return await first(self._host, ask_one, _too_late, kind=kind, log=_log, stagger=share)
        except TimeoutError:
            raise NoAnswerError(self._host.trouble() or f"no answer within {seconds:.1f} s") from None

    async def close(self) -> None:
        """Wait for no look-up any longer, and close the sockets."""
        self._host.close()
        for address in list(self._conversations):
            await self._conversations.pop(address).end()

    async def _ask_one(self, question: Question | None, end: float, address: Address) -> Packet:
        conversation = await self._conversation_with(address)
        try:
            return await conversation.ask(question, max(0.0, end - asyncio.get_running_loop().time()))
        except BusyError:
            raise
        except NoAnswerError:
            if self._conversations.get(address) is conversation:
                await self._conversations.pop(address).end()
            raise

    async def _conversation_with(self, address: Address) -> Conversation:
        if address not in self._conversations:
            host, port = address.socket_address[:2]
            new = Conversation((host, port), self._secret, self._retry_after)
            try:
                await new.begin()
            except OSError as error:
                raise NoAnswerError(error.strerror or str(error)) from None
            if self._conversations.setdefault(address, new) is not new:
                await new.end()  # another login was faster
        return self._conversations[address]


def _too_late(_: Packet) -> None:
    """An answer that came after another one needs no cleaning up."""
