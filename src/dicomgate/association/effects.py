"""What the two machines ask of the code that owns the sockets: carry these out, in their order.

An effect is carried out as soon as it is returned, and nobody keeps it. So it is not frozen: making it would take three
times as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from ..contract import Admission, Attempt
from ..events.events import Cause, Event
from ..rights.operations import Operations
from .pdv_stream import PdvStream


@dataclass(slots=True)
class Decide:
    """Ask the authenticators, then call `decided` with the verdict."""

    attempt: Attempt


@dataclass(slots=True)
class Present:
    """Ask this credential what the upstream is shown; then call `presented` with its answer."""

    credential: str
    admission: Admission


@dataclass(slots=True)
class Connect:
    """Connect to the upstream, or to one device of it; then call `upstream_opened` or `upstream_failed`."""

    upstream: str


@dataclass(slots=True)
class ConnectAgain:
    """As `Connect`, to another address of the same upstream."""


@dataclass(slots=True)
class ToClient:
    """Send this PDU to the client. It is not in the repr: a server response may be a ticket."""

    pdu: bytes = field(repr=False)


@dataclass(slots=True)
class ToUpstream:
    """Send this PDU to the upstream. It is not in the repr: a forwarded identity may hold a passcode."""

    pdu: bytes = field(repr=False)


@dataclass(slots=True)
class CloseUpstream:
    """Close the upstream's connection once what was sent is on its way, or stop connecting."""


@dataclass(slots=True)
class Timer:
    """Call `deadline` after so many seconds. It replaces every earlier `Timer`, and the watch for silence."""

    seconds: float


@dataclass(slots=True)
class Relay:
    """Hand both connections over to the relay. `early` is what the upstream sent right after its A-ASSOCIATE-AC.

    At `ends` (aware) the gateway must end the association; None leaves the end to the peers. `operations` judge its
    messages, and count them; None where nobody looks at them.
    """

    from_client: PdvStream
    from_upstream: PdvStream
    early: bytes = field(repr=False)
    ends: datetime | None = None
    operations: Operations | None = None


@dataclass(slots=True)
class Emit:
    """Tell the log and the audit."""

    event: Event


@dataclass(slots=True)
class Record:
    """Tell the log and the audit; call `recorded` once the audit has written the record, or cannot do so in time."""

    event: Event


@dataclass(slots=True)
class Close:
    """Close both connections once what was sent is on its way, cancel what was asked. The last effect of all.

    `at_once`: neither side has anything more to say, so that no close can overtake it.
    """

    cause: Cause
    detail: str
    at_once: bool = False


Effect: TypeAlias = (
    Decide
    | Present
    | Connect
    | ConnectAgain
    | ToClient
    | ToUpstream
    | CloseUpstream
    | Timer
    | Relay
    | Emit
    | Record
    | Close
)
"""An effect of the handshake."""
Effects: TypeAlias = list[Effect]


class Side(Enum):
    """The two peers of an established association."""

    CLIENT = "client"
    UPSTREAM = "upstream"

    @property
    def other(self) -> Side:
        """The opposite side."""
        return Side.UPSTREAM if self is Side.CLIENT else Side.CLIENT


@dataclass(slots=True)
class Forward:
    """Send `buffer[start:end]`, read from `sender`, to the other side."""

    sender: Side
    start: int
    end: int


@dataclass(slots=True)
class Keep:
    """Keep `buffer[start:end]`, and only that, of what `sender` sent: it goes before what is read next."""

    sender: Side
    start: int
    end: int


@dataclass(slots=True)
class Reply:
    """Send this side a PDU of the gateway's own."""

    to: Side
    pdu: bytes


@dataclass(slots=True)
class Abort:
    """Send this side an A-ABORT; the association ends."""

    to: Side
    pdu: bytes


@dataclass(slots=True)
class Reset:
    """Break this side's connection: it is in the middle of a PDU, where it would read an A-ABORT as data."""

    to: Side


@dataclass(slots=True)
class HalfClose:
    """Send this side nothing after what was sent already: the other side has ended its stream."""

    to: Side


EstablishedEffect: TypeAlias = Forward | Keep | Reply | Abort | Reset | HalfClose | Timer | Close
"""An effect of the established association."""
EstablishedEffects: TypeAlias = list[EstablishedEffect]
