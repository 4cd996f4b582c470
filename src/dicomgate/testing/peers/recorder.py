"""A wire tap: it stands between a client and a server, and keeps every PDU of both in the order in which they came."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from struct import unpack_from
from typing import NamedTuple, Self

from .loopback import HOST, Address, wait_until


class Sent(NamedTuple):
    """One PDU, and which of the two sent it."""

    by_client: bool
    pdu: bytes


@dataclass
class Conversation:
    """One connection: its PDUs in the order in which they were complete, and what is not a whole PDU yet."""

    pdus: list[Sent] = field(default_factory=list)
    rest: dict[bool, bytearray] = field(default_factory=lambda: {True: bytearray(), False: bytearray()})
    over: bool = False

    def add(self, by_client: bool, data: bytes) -> None:
        """Add what one of the two has sent."""
        rest = self.rest[by_client]
        rest += data
        while len(rest) >= 6 and len(rest) >= (end := 6 + unpack_from(">L", rest, 2)[0]):
            self.pdus.append(Sent(by_client, bytes(rest[:end])))
            del rest[:end]

    def pdus_of(self, client: bool) -> list[bytes]:
        """The PDUs of the client, or of the server."""
        return [sent.pdu for sent in self.pdus if sent.by_client is client]

    def by(self, client: bool) -> bytes:
        """Every byte that the client, or the server, has sent."""
        return b"".join(self.pdus_of(client)) + bytes(self.rest[client])


class Recorder:
    """A context manager: it takes connections from its creation on, and makes one to `server` for each."""

    def __init__(self, server: Address) -> None:
        self.server = server
        self.conversations: list[Conversation] = []
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server((HOST, 0))
        self.address: Address = self._listener.getsockname()
        self._wake, self._woken = socket.socketpair()
        for waiting in (self._listener, self._woken):
            self._selector.register(waiting, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="recorder")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def taken(self) -> list[Conversation]:
        """The conversations since this was last asked, once all of them are over."""
        wait_until(lambda: all(one.over for one in self.conversations), "the end of the conversations")
        taken, self.conversations = self.conversations, []
        return taken

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass_on(*key.data)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self.server)
        conversation = Conversation()
        self.conversations.append(conversation)
        for by_client, sender, receiver in ((True, client, server), (False, server, client)):
            sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(sender, selectors.EVENT_READ, (conversation, by_client, sender, receiver))

    def _pass_on(
        self, conversation: Conversation, by_client: bool, sender: socket.socket, receiver: socket.socket
    ) -> None:
        if sender.fileno() < 0:  # closed a moment ago, with the other one
            return
        try:
            data = sender.recv(1 << 18)
        except OSError:
            data = b""
        conversation.add(by_client, data)  # before it is on its way, so that no answer can come earlier
        with suppress(OSError):
            if data:
                receiver.sendall(data)
                return
        # One that has ended its connection reads no more: DICOM knows no half-closed ones.
        for one in (sender, receiver):
            self._selector.unregister(one)
            one.close()
        conversation.over = True
