"""What must come of an association when one of its peers leaves, or falls silent: a table, stage by stage.

"It" is the peer that does so, "the other" the one that must be told; either of them may be the client. A row says for
each way of leaving which cause is in the Closed record, and what the other is told within a second; and for silence
also the deadline that ends it, counted from the moment at which the stage was reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from dicomgate.association.established import LINGER
from dicomgate.events.events import Cause

ARTIM, DECISION, ANSWER, IDLE = 3.0, 3.0, 2.0, 3.0
"""Seconds, as configured: `artim`, the authenticator's `timeout`, the upstream's `timeout`, `idle_timeout`."""


class Side(Enum):
    CLIENT = "client"
    UPSTREAM = "upstream"


class Action(Enum):
    KILLED = "is killed"  # its kernel closes the connection: with a FIN, or a RST if there is something unread
    FINISHED = "closes"  # close_notify in TLS, FIN, close
    RESET = "resets"
    SILENT = "falls silent"


class Stage(Enum):
    CONNECTED = "connected"
    CONNECTED_TLS = "connected, no byte of TLS"
    GREETING = "in its TLS handshake"
    HALF_RQ = "half an A-ASSOCIATE-RQ"
    DECIDING = "the decision is pending"
    CONNECTING = "the upstream is being connected"
    UPSTREAM_GREETING = "the upstream's TLS handshake"
    ASKED = "the upstream has the A-ASSOCIATE-RQ"
    ASKED_UNREAD = "the upstream has it and has not read it"
    HALF_AC = "half an A-ASSOCIATE-AC"
    REFUSED = "after an A-ASSOCIATE-RJ"
    ESTABLISHED = "established"
    HEADER_SENT = "in a P-DATA header that it sends"
    BODY_SENT = "in a PDU that it sends"
    HEADER_RECEIVED = "in a P-DATA header that the other sends"
    BODY_RECEIVED = "in a PDU that the other sends"
    STORING = "between the PDUs of a C-STORE"
    STALLED = "it reads nothing, and the other pours"
    RELEASE_ASKED = "after its A-RELEASE-RQ"
    OTHER_ASKED = "after the other's A-RELEASE-RQ"
    RELEASED = "after its A-RELEASE-RP"
    OTHER_RELEASED = "after the other's A-RELEASE-RP"
    ABORTED = "after its A-ABORT"
    OTHER_ABORTED = "after the other's A-ABORT"


@dataclass(frozen=True)
class Told:
    """What is received from the moment of leaving on: this PDU, and then (`ends`) the end of the connection."""

    what: str
    pdu: bytes | None = b""  # None: whatever
    ends: bool = True
    broken: bool = False  # by a RST, where there is no TLS


NOBODY = Told("nothing: it was never connected")
ALREADY = Told("nothing more: it has its answer, and closes", ends=False)
END = Told("the end of the connection")
CUT = Told("a broken connection", broken=True)
REST = Told("what it had not read, and the end", None)
ABORT = Told("A-ABORT 2,0", bytes.fromhex("07 00 00000004 0000 02 00"))
CONGESTION = Told("A-ASSOCIATE-RJ 2,3,1", bytes.fromhex("03 00 00000004 00 02 03 01"), ends=False)
TRY_LATER = Told("A-ASSOCIATE-RJ 2,2,1", bytes.fromhex("03 00 00000004 00 02 02 01"), ends=False)

Causes = Mapping[Side, Cause]
"""By the side that leaves."""
GONE: Causes = {Side.CLIENT: Cause.CLIENT_GONE, Side.UPSTREAM: Cause.UPSTREAM_GONE}
HAS_ABORTED: Causes = {Side.CLIENT: Cause.ABORTED_BY_CLIENT, Side.UPSTREAM: Cause.ABORTED_BY_UPSTREAM}
WAS_ABORTED: Causes = {Side.CLIENT: Cause.ABORTED_BY_UPSTREAM, Side.UPSTREAM: Cause.ABORTED_BY_CLIENT}
UNHEARD, REFUSED, RELEASED, LATE, QUIET = (
    dict.fromkeys(Side, cause)
    for cause in (Cause.NOTHING_SENT, Cause.REFUSED, Cause.RELEASED, Cause.TIMEOUT, Cause.IDLE)
)


class Left(NamedTuple):
    """It has left: the cause, what the other is told, or else, and for how many seconds more it may have to wait."""

    causes: Causes
    other: Told
    or_else: Told | None = None
    more: float = 0.0


class Silence(NamedTuple):
    """It falls silent: when that ends, the cause, what the other is told then, and it itself."""

    deadline: float
    causes: Causes
    other: Told
    itself: Told


class Row(NamedTuple):
    """`secured` says where there is such a stage: in TLS, in the clear, None: in both."""

    stage: Stage
    finished: Left | None
    reset: Left
    silent: Silence | None
    secured: bool | None = None
    killed: Left | None = None  # where it has not read all; otherwise its kernel says what a close says


# fmt: off
_BY_CLIENT = (
    #   stage                closes, is killed      resets                 falls silent
    # The upstream hears nothing of it before its login. Who leaves without a byte has no record: a health check is like
    # that. A TLS handshake that comes to nothing is a refusal.
    Row(Stage.CONNECTED,     Left(UNHEARD, NOBODY), Left(UNHEARD, NOBODY), Silence(ARTIM, LATE, NOBODY, END), False),
    Row(Stage.CONNECTED_TLS, Left(UNHEARD, NOBODY), Left(UNHEARD, NOBODY), Silence(ARTIM, LATE, NOBODY, END), True),
    Row(Stage.GREETING,      Left(REFUSED, NOBODY), Left(REFUSED, NOBODY), Silence(ARTIM, LATE, NOBODY, REST), True),
    Row(Stage.HALF_RQ,       Left(GONE, NOBODY),    Left(GONE, NOBODY),    Silence(ARTIM, LATE, NOBODY, END)),
    # After its A-ASSOCIATE-RQ it may be silent, since it is not its turn; here those whose turn it is are as well.
    Row(Stage.DECIDING,      Left(GONE, NOBODY),    Left(GONE, NOBODY),
        Silence(DECISION, REFUSED, NOBODY, TRY_LATER)),
    Row(Stage.CONNECTING,    Left(GONE, NOBODY),    Left(GONE, NOBODY),
        Silence(ANSWER, REFUSED, NOBODY, CONGESTION)),
    Row(Stage.UPSTREAM_GREETING, Left(GONE, END),   Left(GONE, END),
        Silence(ANSWER, REFUSED, END, CONGESTION), True),
    Row(Stage.ASKED,         Left(GONE, ABORT),     Left(GONE, ABORT),
        Silence(ANSWER, REFUSED, ABORT, CONGESTION)),
    Row(Stage.HALF_AC,       Left(GONE, ABORT),     Left(GONE, ABORT),
        Silence(ANSWER, REFUSED, ABORT, CONGESTION)),
    Row(Stage.REFUSED,       Left(REFUSED, NOBODY), Left(REFUSED, NOBODY), Silence(ARTIM, REFUSED, NOBODY, END)),
)
_BY_UPSTREAM = (
    # A port on which nobody listens is a RST. The kernel of a listener that is killed has no connection to end: the
    # gateway learns of it when it knocks again, or when its time is over.
    Row(Stage.CONNECTING,         None,                   Left(REFUSED, CONGESTION),
        Silence(ANSWER, REFUSED, CONGESTION, NOBODY), killed=Left(REFUSED, CONGESTION, more=ANSWER)),
    Row(Stage.UPSTREAM_GREETING,  Left(REFUSED, CONGESTION), Left(REFUSED, CONGESTION),
        Silence(ANSWER, REFUSED, CONGESTION, END), True),
    Row(Stage.ASKED,              Left(REFUSED, CONGESTION), Left(REFUSED, CONGESTION),
        Silence(ANSWER, REFUSED, CONGESTION, ABORT)),
    Row(Stage.ASKED_UNREAD,       Left(REFUSED, CONGESTION), Left(REFUSED, CONGESTION), None),
    Row(Stage.HALF_AC,            Left(REFUSED, CONGESTION), Left(REFUSED, CONGESTION),
        Silence(ANSWER, REFUSED, CONGESTION, ABORT)),
    Row(Stage.REFUSED,            Left(REFUSED, ALREADY), Left(REFUSED, ALREADY), Silence(0, REFUSED, ALREADY, END)),
)
_BY_EITHER = (
    # A FIN is passed on as a FIN, so that the other may finish. That a connection broke is told with an A-ABORT, but to
    # a side that is inside a PDU, where it would be data, with a broken connection.
    Row(Stage.ESTABLISHED,        Left(GONE, END),        Left(GONE, ABORT),      Silence(IDLE, QUIET, ABORT, ABORT)),
    Row(Stage.HEADER_SENT,        Left(GONE, END),        Left(GONE, ABORT),      Silence(IDLE, QUIET, ABORT, ABORT)),
    Row(Stage.BODY_SENT,          Left(GONE, END),        Left(GONE, CUT),        Silence(IDLE, QUIET, CUT, ABORT)),
    Row(Stage.HEADER_RECEIVED,    Left(GONE, END),        Left(GONE, ABORT),      Silence(IDLE, QUIET, ABORT, ABORT)),
    Row(Stage.BODY_RECEIVED,      Left(GONE, END),        Left(GONE, ABORT),      Silence(IDLE, QUIET, ABORT, CUT)),
    Row(Stage.STORING,            Left(GONE, END),        Left(GONE, ABORT),      Silence(IDLE, QUIET, ABORT, ABORT)),
    # Since it has not read all, its kernel sends a RST when it is killed; and when it closes, a FIN and a RST at once:
    # which of them the gateway meets with is chance.
    Row(Stage.STALLED,            Left(GONE, END, ABORT), Left(GONE, ABORT),      Silence(IDLE, QUIET, ABORT, REST),
        killed=Left(GONE, ABORT)),
    Row(Stage.RELEASE_ASKED,      Left(RELEASED, END),    Left(RELEASED, END),    Silence(IDLE, QUIET, ABORT, ABORT)),
    Row(Stage.OTHER_ASKED,        Left(RELEASED, END),    Left(GONE, ABORT),      Silence(IDLE, QUIET, ABORT, ABORT)),
    # Either may close now; where neither does, the gateway does.
    Row(Stage.RELEASED,           Left(RELEASED, END),    Left(RELEASED, END),    Silence(LINGER, RELEASED, END, END)),
    Row(Stage.OTHER_RELEASED,     Left(RELEASED, END),    Left(RELEASED, END),    Silence(LINGER, RELEASED, END, END)),
    Row(Stage.ABORTED,            Left(HAS_ABORTED, END), Left(HAS_ABORTED, END), Silence(0, HAS_ABORTED, END, END)),
    Row(Stage.OTHER_ABORTED,      Left(WAS_ABORTED, END), Left(WAS_ABORTED, END), Silence(0, WAS_ABORTED, END, END)),
)
# fmt: on


class Case(NamedTuple):
    """One cell of the table, and whether both connections are in TLS or neither."""

    stage: Stage
    side: Side
    action: Action
    secured: bool
    expected: Left | Silence

    def __str__(self) -> str:
        return f"{self.stage.value}, the {self.side.value} {self.action.value}, {'TLS' if self.secured else 'plain'}"


def cases() -> Iterator[Case]:
    """Every combination that there is."""
    for side, rows in (
        (Side.CLIENT, _BY_CLIENT),
        (Side.UPSTREAM, _BY_UPSTREAM),
        *((side, _BY_EITHER) for side in Side),
    ):
        for row in rows:
            cells = row.killed or row.finished, row.finished, row.reset, row.silent
            for action, cell in zip(Action, cells, strict=True):
                for secured in (False, True) if row.secured is None else (row.secured,):
                    if cell is not None:
                        in_tls = secured and rows is _BY_EITHER
                        yield Case(row.stage, side, action, secured, _in_tls(cell) if in_tls else cell)


def _in_tls(cell: Left | Silence) -> Left | Silence:
    """Some Pythons take a RST for the end of a TLS stream, and then it is passed on as one."""
    return cell._replace(or_else=END) if isinstance(cell, Left) and cell.other is ABORT else cell
