"""One direction of an association on its sockets: from one connection to the other."""

from __future__ import annotations

from ..association.effects import Side
from ..association.pdv_stream import PdvStream
from .connection import Connection

FEW = 65_536


class Direction:
    """From one connection to the other. `opposite` are the PDVs of the other direction."""

    __slots__ = ("bytes", "ended", "held", "held_back", "most", "opposite", "pdvs", "side", "sink", "source", "waiting")

    def __init__(self, side: Side, source: Connection, sink: Connection, pdvs: PdvStream, opposite: PdvStream) -> None:
        self.side = side
        self.source = source
        self.sink = sink
        self.pdvs = pdvs
        self.opposite = opposite
        self.held = b""  # read, and not forwarded yet
        self.most = FEW  # bytes to read next: the less, the smaller the PDUs, for what is held is copied in each turn
        self.bytes = 0
        self.ended = False
        self.held_back = False  # the source is not read, because it does not take what the gateway answers
        self.waiting: float | None = None  # since when the sink has not taken all that was sent
