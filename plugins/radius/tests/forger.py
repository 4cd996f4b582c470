"""A scripted RADIUS server, honest or not: each request is answered with the datagrams that the script makes of it."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from pyrad.packet import AccessAccept, AuthPacket, Packet

from dicomgate.testing.peers.freeradius import SECRET
from dicomgate.testing.peers.loopback import HOST
from dicomgate_radius.messages import DICTIONARY

Script = Callable[[AuthPacket], Iterable[bytes]]


class Forger:
    """Listens from its creation to the end of the `with` block; a test may change its `script`."""

    def __init__(self, script: Script, host: str = HOST) -> None:
        self.requests: list[AuthPacket] = []
        self.senders: list[object] = []
        self.script = script
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket, self._elsewhere = self._bound(host), self._bound(host)
        self._port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self.address = f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"

    def __enter__(self) -> Forger:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(self._family, socket.SOCK_DGRAM) as end:
            end.sendto(b"end", self._socket.getsockname())
        self._thread.join(timeout=20)
        self._socket.close()
        self._elsewhere.close()

    def _bound(self, host: str) -> socket.socket:
        bound = socket.socket(self._family, socket.SOCK_DGRAM)
        bound.bind((host, 0))
        return bound

    def _run(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(65536)
            if data == b"end":
                return
            request = AuthPacket(packet=data, dict=DICTIONARY, secret=SECRET)
            self.requests.append(request)
            self.senders.append(sender)
            for answer in self.script(request):
                elsewhere = isinstance(answer, Elsewhere)
                with suppress(OSError):  # the client has closed its socket
                    (self._elsewhere if elsewhere else self._socket).sendto(answer, sender)


class Elsewhere(bytes):
    """A datagram that comes from another port than the server's."""


def answer(
    request: AuthPacket,
    code: int = AccessAccept,
    *,
    secret: bytes = SECRET,
    signed: bool = True,
    attributes: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """The answer of a server that knows this secret; without a Message-Authenticator if it is not `signed`."""
    reply = Packet(
        code, request.id, secret, request.authenticator, dict=DICTIONARY, message_authenticator=signed or None
    )
    for number, value in attributes:
        reply.setdefault(number, []).append(value)
    return bytes(reply.ReplyPacket())


def resign(request: AuthPacket, data: bytes, secret: bytes = SECRET) -> bytes:
    """The same answer with a Response Authenticator (RFC 2865 3) that is right for it."""
    digest = hashlib.md5(data[:4] + request.authenticator + data[20:] + secret).digest()  # noqa: S324 (the RFC's)
    return data[:4] + digest + data[20:]
