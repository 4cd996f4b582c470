"""What is going on, as values: for the command line, the status page and metrics.

All times are aware, in UTC. What peers sent is as they sent it: whoever shows it must escape it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from .. import __version__
from ..events.events import Refused
from ..kit.addresses import show_address
from ..net.pool import Member, Pool
from ..run.named_files import NamedCertificate
from ..run.server import Server
from ..sessions.shut_outs import ShutOut
from .watch import Watch

_MOST_SHUT_OUT = 200


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """One listener, and how many associations came in by it."""

    name: str
    addresses: tuple[str, ...]
    tls: bool
    associations: int


@dataclass(frozen=True, slots=True)
class AddressStatus:
    """One of several addresses of a PACS. `state` is "up", "down", or what an operator said of it; that is `order`.

    `since` is when it began to fail, None if it does not, and `problem` why it did so last. `remark` is what it does
    not like about being checked, and `check_seconds` the seconds that the last check took, None without one. `failures`
    are all since the start.
    """

    address: str
    state: str
    up: bool
    order: str
    associations: int
    since: datetime | None
    problem: str
    remark: str
    failures: int
    check_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class UpstreamStatus:
    """One upstream. `problem` is why the last connection to it failed, "" if it did not; `tried` is when that was.

    `pool` has its addresses if there are several to choose from.
    """

    name: str
    addresses: tuple[str, ...]
    associations: int
    problem: str
    tried: datetime | None
    pool: tuple[AddressStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """Where records are written. `problem` is why they cannot be written now, "" if they can."""

    name: str
    problem: str


@dataclass(frozen=True, slots=True)
class Status:
    """One gateway. `problems` are why its last reload failed; `limits` are those of all associations, as configured.

    `shut_out` are users whom an operator shut out, at most 200. `refusals` are the last ones, the oldest first.
    """

    node: str
    version: str
    started: datetime
    generation: int
    generation_since: datetime
    problems: tuple[str, ...]
    draining: bool
    associations: int
    unauthenticated: int
    limits: Mapping[str, int]
    listeners: tuple[ListenerStatus, ...]
    upstreams: tuple[UpstreamStatus, ...]
    certificates: tuple[NamedCertificate, ...]
    sinks: tuple[SinkStatus, ...]
    shut_out: tuple[ShutOut, ...]
    refusals: tuple[Refused, ...]


def addresses_of(server: Server, upstream: str) -> tuple[AddressStatus, ...]:
    """The addresses of a PACS that has several; () of any other. In any thread."""
    pool = server.generation.assembly.pool(upstream)
    if pool is None:
        return ()
    now, today = server.loop.time(), datetime.now(UTC)
    return tuple(
        AddressStatus(
            member.name,
            _state(pool, member),
            not pool.fails(member),
            member.order,
            member.associations,
            today - timedelta(seconds=now - member.since) if member.failures else None,
            member.why if member.failures else "",
            member.remark,
            member.failed,
            member.check_seconds,
        )
        for member in pool.members
    )


def _state(pool: Pool, member: Member) -> str:
    if member.order != "ready":
        return f"{member.order} (operator)"
    return "down" if pool.fails(member) else "up"


def status_of(server: Server, watch: Watch) -> Status:
    """What is going on in this gateway; in any thread. `watch` is told of its events."""
    generation, history, capacity = server.generation, server.history, server.capacity
    by_listener, by_upstream = Counter[str](), Counter[str]()
    for session in server.register:
        facts = session.facts
        by_listener[facts.listener] += 1
        by_upstream[facts.upstream] += 1
    tables = generation.assembly.configuration.tables
    bound = server.bound.copy()
    listeners = tuple(
        ListenerStatus(
            table.name,
            tuple(show_address(*bound.get(address, address)) for address in table.bind),
            table.tls is not None,
            by_listener[table.name],
        )
        for table in tables.listener
    )
    upstreams = tuple(
        UpstreamStatus(
            table.name,
            tuple(show_address(*address) for address in table.every_address),
            by_upstream[table.name],
            *watch.of_upstream(table.name),
            addresses_of(server, table.name),
        )
        for table in tables.upstream
    )
    return Status(
        node=tables.gateway.node,
        version=__version__,
        started=history.started,
        generation=history.generation,
        generation_since=history.since,
        problems=history.problems,
        draining=history.draining,
        associations=capacity.associations,
        unauthenticated=capacity.unauthenticated,
        limits=asdict(capacity.limits),
        listeners=listeners,
        upstreams=upstreams,
        certificates=generation.assembly.certificates,
        sinks=tuple(SinkStatus(sink.name, sink.problem) for sink in generation.audit.sinks),
        shut_out=tuple(server.users.shut_outs.all()[:_MOST_SHUT_OUT]),
        refusals=watch.refusals,
    )
