"""Streams of P-DATA in both directions of many associations at once, and their SHA-256. A process for each end.

`python -m tests.stamina.traffic ROLE PORT_OR_FD SEED ASSOCIATIONS BLOCKS CERTIFICATES` is the clients, or the PACS at a
listening socket that it inherits; CERTIFICATES is the folder with those of the role's TLS, or "". It writes a line of
JSON for each association to standard output.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from struct import pack, pack_into

from bench.messages import PASSCODE
from dicomgate.testing import raw
from tests.stamina.peer import Peer

BLOCK = 1 << 20
"""Bytes of a block: whole PDUs."""
CONTEXTS = (1, 3)
_SHORTEST = 12  # a PDU with one PDV without a fragment
_CUTS = (1, 5, 6, 11, 12, 13, 1_000, 16_384, 65_536, 65_537, 300_000)  # bytes given to TCP at a time


@dataclass(frozen=True)
class Block:
    """What is sent at a time, and the number of its PDUs."""

    data: memoryview
    pdus: int


def make_block(chance: random.Random, maximum: int) -> Block:
    """PDUs of all sizes up to the maximum, in the sense of their logarithm, with up to five PDVs each."""
    maximum = min(maximum or BLOCK, BLOCK - 6)
    data, position, pdus = bytearray(chance.randbytes(BLOCK)), 0, 0
    while position < BLOCK:
        left = BLOCK - position - 6
        length = min(maximum, 2 * round(math.exp(chance.uniform(math.log(3), math.log(maximum / 2) + 0.2))))
        if left - length < _SHORTEST:
            length = left if left <= maximum else length - _SHORTEST
        pack_into(">BxL", data, position, 4, length)
        position += 6
        for item in _cut(chance, length):
            pack_into(">LBB", data, position, item - 4, chance.choice(CONTEXTS), chance.randrange(4))
            position += item
        pdus += 1
    return Block(memoryview(data), pdus)


def _cut(chance: random.Random, length: int) -> Iterator[int]:
    """The lengths of the PDVs of a PDU: even, headers included, 6 at least (PS3.8 9.3.5.1)."""
    for _ in range(chance.randrange(5)):
        if length < 12:
            break
        item = 2 * chance.randrange(3, length // 2 - 2)
        yield item
        length -= item
    yield length


class Stream:
    """What one end sends, cut anywhere: a block that is its own, then others in an order of chance."""

    def __init__(self, chance: random.Random, maximum: int, blocks: list[Block], count: int) -> None:
        self.sum = hashlib.sha256()
        self.pdus = 0
        self._chance = chance
        self._blocks = [make_block(chance, maximum), *chance.choices(blocks, k=count - 1)]

    def pieces(self) -> Iterator[memoryview]:
        """Each piece, to be sent before the next one is asked for."""
        for block in self._blocks:
            self.sum.update(block.data)
            self.pdus += block.pdus
            position = 0
            while position < BLOCK:
                end = position + self._chance.choice(_CUTS)
                yield block.data[position:end]
                position = end


MAXIMA = (1_024, 16_384, 131_072, 0)
"""Maximum lengths; 0 is no limit (PS3.8 D.1). The clients announce one after the other, the PACS each time the next."""
_DIFFERENT = 8  # blocks for each maximum: they come in an order of chance
_NARROW, _SLOW = 65_536, 0.3
"""For one association in two the kernel takes so few bytes, and one end reads nothing for so many seconds, while the
other sends: what the gateway cannot send it must keep."""
_PATIENCE = 60.0  # seconds without anything going on


@dataclass(frozen=True)
class Account:
    """What one end of an association knows at its end: SHA-256 of both streams, and the PDUs that it sent."""

    association: int
    sent: str
    received: str
    pdus: int


def exchange(connection: socket.socket, pieces: Iterator[memoryview], expected: int) -> str:
    """Send the pieces while so many bytes are received; their SHA-256. Raises OSError, EOFError."""
    connection.setblocking(False)
    poll, total, buffer = select.poll(), hashlib.sha256(), memoryview(bytearray(262_144))
    piece = next(pieces, None)
    poll.register(connection, select.POLLIN | select.POLLOUT)
    while piece is not None or expected:
        if not poll.poll(_PATIENCE * 1000):
            raise TimeoutError(f"nothing goes on; {expected} bytes to come")
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while expected:
                count = connection.recv_into(buffer[: min(expected, len(buffer))])
                if not count:
                    raise EOFError(f"the end, and {expected} bytes to come")
                total.update(buffer[:count])
                expected -= count
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while piece is not None:
                piece = piece[connection.send(piece) :]
                if not piece:
                    piece = next(pieces, None)
        if piece is None:
            poll.modify(connection, select.POLLIN)
    connection.settimeout(_PATIENCE)
    return total.hexdigest()


def request(number: int) -> bytes:
    """An A-ASSOCIATE-RQ with the number of the association as the calling AE title."""
    contexts = b"".join(map(raw.proposed, CONTEXTS))
    information = _user_information(MAXIMA[number % 4], raw.login(2, b"user-%d" % number, PASSCODE))
    return raw.associate(1, raw.APPLICATION_CONTEXT, contexts, information, calling=b"%d" % number)


def accept(number: int) -> bytes:
    """The A-ASSOCIATE-AC that answers it."""
    contexts = b"".join(map(raw.answered, CONTEXTS))
    information = _user_information(MAXIMA[(number + 1) % 4])
    return raw.associate(2, raw.APPLICATION_CONTEXT, contexts, information, calling=b"%d" % number)


def _user_information(maximum: int, *more: bytes) -> bytes:
    return raw.item(0x50, raw.item(0x51, pack(">L", maximum)) + raw.CLASS_UID + b"".join(more))


class End:
    """The clients, or the PACS."""

    def __init__(self, role: str, port_or_fd: int, seed: str, associations: int, blocks: int, folder: str) -> None:
        self._client = role == "clients"
        self._port_or_fd = port_or_fd
        self._seed = f"{seed} {role}"
        self._associations = associations
        self._count = blocks
        self._tls = self._context(Path(folder)) if folder else None
        chance = random.Random(self._seed)
        self._blocks = [[make_block(chance, maximum) for _ in range(_DIFFERENT)] for maximum in MAXIMA]

    def _context(self, folder: Path) -> ssl.SSLContext:
        if self._client:
            return ssl.create_default_context(cafile=folder / "ca.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        return context

    def run(self) -> None:
        """All associations at once; a line of JSON for each."""
        threads = []
        listener = None if self._client else socket.socket(fileno=self._port_or_fd)
        for number in range(self._associations):
            connection = socket.socket() if listener is None else listener.accept()[0]
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW)
            if listener is None:
                connection.connect(("127.0.0.1", self._port_or_fd))
            threads.append(threading.Thread(target=self._associate, args=(connection, number)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _associate(self, connection: socket.socket, number: int) -> None:
        with Peer(connection) as peer:
            peer.socket.settimeout(_PATIENCE)
            if self._tls is not None:
                peer.secure(self._tls, server=not self._client)
            if self._client:
                assert peer.ask(request(number))[0] == 2
            else:
                # PS3.8 table 9-11: the calling AE title is in bytes 27 to 42.
                number = int(peer.pdu()[26:42])
                peer.send(accept(number))
            kept = (number + self._client) % 4  # which of the maxima the other end announced
            stream = Stream(random.Random(f"{self._seed} {number}"), MAXIMA[kept], self._blocks[kept], self._count)
            if number % 4 == (1 if self._client else 3):
                time.sleep(_SLOW)
            received = exchange(peer.socket, stream.pieces(), self._count * BLOCK)
            if self._client:
                assert peer.release() == raw.RELEASE_RP
            else:
                assert peer.pdu() == raw.RELEASE_RQ
                peer.send(raw.RELEASE_RP)
        account = Account(number, stream.sum.hexdigest(), received, stream.pdus)
        sys.stdout.write(json.dumps(asdict(account)) + "\n")


if __name__ == "__main__":
    role, port_or_fd, seed, associations, blocks, folder = sys.argv[1:]
    End(role, int(port_or_fd), seed, int(associations), int(blocks), folder).run()
