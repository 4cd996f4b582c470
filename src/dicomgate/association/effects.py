"""What a handshake asks of the code that owns the sockets: carry these out, in their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from ..contract import Attempt
from ..events.events import Cause, Event
from .pdv_stream import PdvStream


@dataclass(frozen=True, slots=True)
class Decide:
    """Ask the chain, and give `decided` its verdict."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection to the upstream; then `upstream_opened` or `upstream_failed`."""

    upstream: str


@dataclass(frozen=True, slots=True)
class ToClient:
    """Send this PDU to the client. Its repr is silent: a server response may be a ticket."""

    pdu: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToUpstream:
    """Send this PDU to the upstream. Its repr is silent: a forwarded identity holds a passcode."""

    pdu: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CloseUpstream:
    """Close the upstream's connection once what was sent is on its way, or stop opening it."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Call `deadline` after so many seconds, and not at any time asked for earlier."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Relay:
    """Hand both connections over to the relay. `early` is what the upstream sent right behind its A-ASSOCIATE-AC.

    At `ends` (aware) the association is to be ended; None leaves that to the peers.
    """

    from_client: PdvStream
    from_upstream: PdvStream
    early: bytes = field(repr=False)
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Emit:
    """Emit the observers."""

    event: Event


@dataclass(frozen=True, slots=True)
class Close:
    """Close both connections once what was sent is on its way, cancel what was asked. The last effect of all."""

    cause: Cause
    detail: str


Effect: TypeAlias = Decide | Connect | ToClient | ToUpstream | CloseUpstream | Timer | Relay | Emit | Close
Effects: TypeAlias = list[Effect]
