"""One connected UDP socket: requests out, and only authentic answers in.

Rule 1: an answer without a Message-Authenticator is ignored, whatever else is right about it (CVE-2024-3596).
Rule 2: the socket is connected, so the kernel passes on only what comes from the server's address and port.
Rule 3: a datagram that is not the answer does not end the wait. What was wrong with it is reported if no answer comes.
Rule 4: pyrad logs packets as they are. It gets a logger without an output, so that no packet is logged.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

from pyrad.client_async import ClientAsync, DatagramProtocolClient
from pyrad.packet import AccessRequest, AuthPacket, Packet, PacketError, StatusServer

from dicomgate.kit.failover import BusyError, NoAnswerError

from .messages import DICTIONARY, Question, write_request

MOST = 256
"""Requests that can be under way on a socket at a time. RFC 2865 3: the Identifier is one octet."""

_NOWHERE = logging.Logger("pyrad", logging.CRITICAL + 1)

_SILENCE = (
    "no answer within {:.1f} s: it is down, does not know this gateway as a client, has another shared secret, or "
    "answers from another of its addresses"
)
_UNSIGNED = (
    "its answers have no Message-Authenticator and are ignored, because anybody on the network path could have forged "
    "them (CVE-2024-3596); tell the server to send one"
)
_WRONGLY_SIGNED = "its answers are not signed with our shared secret: the secret is wrong, or somebody forges them"
_NO_PACKET = "its answers are not RADIUS packets"


class Conversation:
    """With one address of a server. A request without an answer is sent again every `retry_after` seconds."""

    def __init__(self, address: tuple[str, int], secret: bytes, retry_after: float) -> None:
        self.address = address
        host, port = address
        self._client = ClientAsync(server=host, auth_port=port, secret=secret, dict=DICTIONARY, enforce_ma=True)
        self._protocol = _Protocol(host, port, _NOWHERE, self._client, retries=sys.maxsize, timeout=retry_after)
        self._client.protocol_auth = self._protocol
        self._under_way = 0
        self._over = False

    async def begin(self) -> None:
        """Open the socket. Raises OSError."""
        try:
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: self._protocol, remote_addr=self.address)
        except BaseException:
            await self._client.deinitialize_transports()
            raise

    async def ask(self, question: Question | None, seconds: float) -> Packet:
        """The answer, verified; None asks for the server's status. Raises BusyError, and NoAnswerError in `seconds`."""
        if self._under_way >= MOST:
            raise BusyError("too many logins are waiting for it already")
        packet = self._client.CreateAuthPacket(code=AccessRequest if question is not None else StatusServer)
        if question is not None:
            write_request(packet, question)
        else:
            packet.add_message_authenticator()  # RFC 5997 3: it MUST have one
        self._under_way += 1
        try:
            async with asyncio.timeout(seconds):
                return await self._client.SendPacket(packet)
        except TimeoutError:
            raise NoAnswerError(self._protocol.doubts.get(packet.id) or _SILENCE.format(seconds)) from None
        except OSError as error:
            raise NoAnswerError(error.strerror or str(error)) from None
        finally:
            self._protocol.doubts.pop(packet.id, None)
            self._under_way -= 1
            await self._close_if_over()

    async def end(self) -> None:
        """Close the socket as soon as nothing is under way on it."""
        self._over = True
        await self._close_if_over()

    async def _close_if_over(self) -> None:
        if self._over and not self._under_way:
            await self._client.deinitialize_transports()


class _Protocol(DatagramProtocolClient):  # type: ignore[misc] # pyrad has no types
    """pyrad's protocol, which also remembers in `doubts`, by identifier, what was wrong with the answers that came."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.doubts: dict[int, str] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        super().datagram_received(data, addr)
        # A request that got its answer is no longer pending.
        pending = self.pending_requests.get(data[1]) if len(data) > 1 else None
        if pending is None:
            return
        self.doubts[data[1]] = doubt = _doubt(pending["packet"], data)
        if doubt is _UNSIGNED and pending["packet"].code == StatusServer and not pending["future"].done():
            pending["future"].set_result(None)  # it lets nobody in, so it need not be signed

    def error_received(self, exc: Exception) -> None:
        """An ICMP message, such as "port unreachable": there is no need to wait for the deadline."""
        for pending in list(self.pending_requests.values()):
            if not pending["future"].done():
                pending["future"].set_exception(OSError(*exc.args))


def _doubt(request: AuthPacket, data: bytes) -> str:
    try:
        answer = request.CreateReply(packet=data)
    except PacketError:
        return _NO_PACKET
    # Without `enforce_ma`: is the Message-Authenticator all that is missing?
    return _UNSIGNED if request.VerifyReply(answer) else _WRONGLY_SIGNED
