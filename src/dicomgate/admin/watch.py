"""What is remembered of past events: the last refusals, and how it stands with each upstream."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from ..events.events import Established, Event, ReasonClass, Refused

REFUSALS = 200
"""How many are remembered."""
_OF_THE_UPSTREAM = (ReasonClass.UPSTREAM_DOWN, ReasonClass.UPSTREAM_VIOLATION, ReasonClass.UPSTREAM_UNVERIFIED)


class Watch:
    """One of the watchers of a gateway's records: called in the event loop, and read in any thread."""

    def __init__(self) -> None:
        self._refusals: deque[Refused] = deque(maxlen=REFUSALS)
        self._upstreams: dict[str, tuple[str, datetime | None]] = {}

    def __call__(self, event: Event) -> None:
        """Remember what is worth it."""
        if isinstance(event, Refused):
            self._refusals.append(event)
            if event.reason_class in _OF_THE_UPSTREAM:
                self._upstreams[event.facts.upstream] = event.reason, event.time
            elif event.reason_class is ReasonClass.UPSTREAM_REJECTED:
                self._upstreams[event.facts.upstream] = "", event.time
        elif isinstance(event, Established):
            self._upstreams[event.facts.upstream] = "", event.time

    @property
    def refusals(self) -> tuple[Refused, ...]:
        """The last refusals, the oldest first."""
        return tuple(self._refusals.copy())  # a copy is made in one step, whatever the event loop does meanwhile

    def of_upstream(self, name: str) -> tuple[str, datetime | None]:
        """Why the last association could not go to this upstream, "" if it could; and when that was."""
        return self._upstreams.get(name, ("", None))
