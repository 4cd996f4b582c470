"""What an association finds: what all of them share, and how its listener is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..association.admission import Policy
from ..auth.chain import Chain
from ..events.events import Sink
from ..protection.guard import Guard
from .capacity import Capacity
from .dial import Upstream
from .tls import TlsContext

RECEIVE_SIZE = 1_572_864
"""Bytes of the one receive buffer. More than anything else it decides the relay's speed: see docs/performance.md."""


class Association(Protocol):
    """What is under way and can be ended from outside."""

    def stop(self) -> None:
        """End it now, properly: an A-ABORT to whom it concerns."""


@dataclass(slots=True)
class ServerState:
    """What all associations of a gateway share.

    `buffer` belongs to whoever is being called back; it is empty again before the next callback runs.
    """

    loop: asyncio.AbstractEventLoop
    tell: Sink
    places: Capacity
    guard: Guard
    buffer: bytearray = field(default_factory=lambda: bytearray(RECEIVE_SIZE))
    associations: set[Association] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class ListenerSnapshot:
    """One listener as it is configured now: a snapshot that an association keeps for its whole life.

    `left` is called when an association needs the chain and the upstreams no more.
    """

    policy: Policy
    chain: Chain
    upstreams: Mapping[str, Upstream]
    tls: TlsContext | None
    idle_timeout: float
    entered: Callable[[], None]
    left: Callable[[], None]
