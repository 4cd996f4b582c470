"""An established association driven as the relay drives it, without sockets."""

from __future__ import annotations

from struct import pack

from dicomgate.association import effects as do
from dicomgate.association.effects import Side
from dicomgate.association.established import Association
from dicomgate.association.pdv_stream import PdvStream
from dicomgate.testing import raw

CLIENT, UPSTREAM = Side.CLIENT, Side.UPSTREAM


class Conversation:
    """Two peers and the machine between them. `received` is what each of them has got."""

    def __init__(self, from_client: PdvStream, from_upstream: PdvStream) -> None:
        self.machine = Association(from_client, from_upstream)
        self.streams = {CLIENT: from_client, UPSTREAM: from_upstream}
        self.received = {CLIENT: bytearray(), UPSTREAM: bytearray()}
        self._held = {CLIENT: b"", UPSTREAM: b""}

    def send(self, side: Side, data: bytes) -> do.EstablishedEffects:
        """A side sends bytes; return the effects that are not only bytes for a peer."""
        buffer, stream = self._held[side] + data, self.streams[side]
        passed = stream.walk(buffer, len(buffer), self.streams[side.other])
        self.received[side.other] += buffer[:passed]
        if stream.found is None:
            self._held[side] = buffer[passed:]
            return self.send(side, b"") if stream.more else []
        self._held[side] = b""
        rest: do.EstablishedEffects = []
        for effect in self.machine.found(side, buffer, passed, len(buffer)):
            match effect:
                case do.Forward(sender, start, end):
                    assert sender is side
                    self.received[side.other] += buffer[start:end]
                case do.Reply(to, pdu):
                    assert pdu, "an empty answer is none"
                    self.received[to] += pdu
                case do.Keep(sender, start, end):
                    self._held[sender] = buffer[start:end]
                case _:
                    rest.append(effect)
        return rest + self.send(side, b"") if stream.more else rest

    def held(self, side: Side) -> bytes:
        """What a side sent and the other has not got yet."""
        return self._held[side]


def command(number: int, *, data_set: bool, filler: int = 0) -> bytes:
    """A command set of its own: a message id, whether a data set follows, and bytes that nobody reads."""
    elements = pack("<HHLH", 0, 0x0110, 2, number)
    elements += pack("<HHLH", 0, 0x0800, 2, 0x0001 if data_set else 0x0101)
    return elements + pack("<HHL", 0, 0x1000, filler) + bytes(filler)


def message(number: int, context: int = 1, data: bytes | None = b"data", filler: int = 0) -> bytes:
    """A whole DIMSE message: the command set in one PDU, the data set, if there is one, in another."""
    pdus = raw.p_data(raw.pdv(context, command(number, data_set=data is not None, filler=filler), 3))
    return pdus if data is None else pdus + raw.p_data(raw.pdv(context, data, 2))
