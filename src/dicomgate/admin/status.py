"""What is going on, as values: for the command line, the status page and metrics.

All times are aware, in UTC. What peers sent is as they sent it: whoever shows it must escape it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..events.events import Refused
from ..sessions.register import Traffic


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One association under way. `traffic` is None before it is established. `node` is the gateway that has it."""

    id: str
    node: str
    since: datetime
    listener: str
    address: str
    port: int
    claimed: str | None
    user: str | None
    authenticator: str
    groups: tuple[str, ...]
    calling_ae_title: str
    called_ae_title: str
    upstream: str
    ends: datetime | None
    traffic: Traffic | None


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """One listener, and how many associations came in by it."""

    name: str
    addresses: tuple[str, ...]
    tls: bool
    associations: int


@dataclass(frozen=True, slots=True)
class UpstreamStatus:
    """One upstream. `problem` is why the last connection to it failed, "" if it did not; `tried` is when that was."""

    name: str
    addresses: tuple[str, ...]
    associations: int
    problem: str
    tried: datetime | None


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """One certificate in a file of the configuration. `use` says what it is for, such as "listener clinical"."""

    use: str
    path: str
    names: str
    ends: datetime


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """Where records are written. `problem` is why they cannot be written now, "" if they can."""

    name: str
    problem: str


@dataclass(frozen=True, slots=True)
class Status:
    """One gateway. `problems` are why its last reload failed; `limits` are those of all associations, as configured."""

    node: str
    version: str
    started: datetime
    generation: int
    generation_since: datetime
    problems: tuple[str, ...]
    draining: bool
    associations: int
    unauthenticated: int
    limits: dict[str, int]
    listeners: tuple[ListenerStatus, ...]
    upstreams: tuple[UpstreamStatus, ...]
    certificates: tuple[CertificateStatus, ...]
    sinks: tuple[SinkStatus, ...]
    refusals: tuple[Refused, ...]
