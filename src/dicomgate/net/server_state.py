"""What all associations share, and how the listener of each one is configured."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..association.admission import Policy
from ..auth.chain import Chain
from ..credentials.link import CredentialLink
from ..events.backlog import Done
from ..events.events import Event, Sink
from ..kit.networks import IpNetwork, read_address
from ..protection.guard import Guard
from ..sessions.register import Register
from ..sessions.users import Users
from .capacity import Capacity
from .deadlines import Deadlines
from .dial import Upstream
from .pooled import PooledUpstream
from .tls import TlsContext
from .turns import Turns

RECEIVE_SIZE = 1_572_864
"""Bytes of the one receive buffer. More than anything else it decides the relay's speed: see docs/performance.md."""


_ID_DIGITS = 12
_IDS_AT_ONCE = 256


def _random_ids() -> Iterator[str]:
    """Hexadecimal digits at random. The system is asked for those of many ids at once."""
    while True:
        digits = secrets.token_hex(_ID_DIGITS // 2 * _IDS_AT_ONCE)
        for start in range(0, len(digits), _ID_DIGITS):
            yield digits[start : start + _ID_DIGITS]


@dataclass(slots=True)
class ServerState:
    """What all associations of a gateway share.

    `tell` writes the record of an event, later. `keep` does so too, and then calls `done` in the loop: with "", or with
    why the record is not written. `trouble` is why none can be kept now, "" if nothing is known.

    `count_silent` is called with the address of each client that closed its connection without having sent anything.
    `buffer` and its `view` belong to the callback that is running; nothing is kept in them between two callbacks.
    `turns` is for the steps of those who have not logged in, `deadlines` for times that are the same for many. `ids`
    has one for each association.
    """

    loop: asyncio.AbstractEventLoop
    tell: Sink
    keep: Callable[[Event, Done], None]
    trouble: Callable[[], str]
    count_silent: Callable[[str], None]
    capacity: Capacity
    guard: Guard
    buffer: bytearray = field(default_factory=lambda: bytearray(RECEIVE_SIZE))
    register: Register = field(default_factory=Register)
    users: Users = field(default_factory=Users)
    ids: Iterator[str] = field(default_factory=_random_ids)
    view: memoryview = field(init=False)
    turns: Turns = field(init=False)
    deadlines: Deadlines = field(init=False)

    def __post_init__(self) -> None:
        self.turns = Turns(self.loop)
        self.deadlines = Deadlines(self.loop)
        self.view = memoryview(self.buffer)


@dataclass(frozen=True, slots=True)
class Balancers:
    """The load balancers in front of a listener: each connection from their networks begins with a PROXY header.

    `believed`: also what that says of the client's TLS. `alone`: other clients are refused.
    """

    networks: tuple[IpNetwork, ...]
    believed: bool
    alone: bool

    def __contains__(self, address: str) -> bool:
        """True if this address is one of theirs."""
        found = read_address(address)
        return any(found in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class ListenerSnapshot:
    """One listener as it is configured now. An association keeps the snapshot that it came in by.

    An association calls `acquire` when it begins, and `release` when it no longer needs what is in here.
    """

    policy: Policy
    chain: Chain
    upstreams: Mapping[str, Upstream | PooledUpstream]
    credentials: Mapping[str, CredentialLink]
    tls: TlsContext | None
    idle_timeout: float
    keepalive: float
    acquire: Callable[[], None]
    release: Callable[[], None]
    balancers: Balancers | None = None
