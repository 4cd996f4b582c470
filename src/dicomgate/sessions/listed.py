"""The associations of a gateway as its operators and the other gateways see them.

All times are aware, in UTC. What peers sent is as they sent it: whoever shows it must escape it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pydantic import AwareDatetime, TypeAdapter

from .register import Session, Traffic


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One association under way. `traffic` is None before it is established. `node` is the gateway that has it.

    `via` is the load balancer that announced the client, "" if it came itself.
    """

    id: str
    node: str
    since: AwareDatetime
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
    ends: AwareDatetime | None
    traffic: Traffic | None
    via: str = ""  # a gateway of an older version does not tell it


def session_status(session: Session, node: str) -> SessionStatus:
    """What is known of an association that the gateway `node` has; in any thread."""
    facts = session.facts
    return SessionStatus(
        id=session.id,
        node=node,
        since=session.since,
        listener=facts.listener,
        address=facts.address,
        port=facts.port,
        claimed=facts.claimed,
        user=facts.user,
        authenticator=facts.authenticator,
        groups=session.groups,
        calling_ae_title=facts.calling_ae_title,
        called_ae_title=facts.called_ae_title,
        upstream=facts.upstream,
        ends=session.ends,
        traffic=session.traffic,
        via=facts.via,
    )


_ROWS = TypeAdapter(list[SessionStatus])


def written(sessions: Iterable[SessionStatus]) -> str:
    """As another gateway reads them."""
    return _ROWS.dump_json(list(sessions)).decode()


def read(text: str, node: str) -> list[SessionStatus]:
    """What `node` has written, whatever name it gives itself there. Raises ValueError."""
    return [replace(one, node=node) for one in _ROWS.validate_json(text)]
