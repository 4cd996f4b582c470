"""How many connections there may be: in all and of one source, before and after their login.

Law: one source cannot take everybody's places, nor those who have not logged in the places of those who have.
Above a limit a connection is still answered, so that its client learns to come again: it has a place that is `full`.
There are only as many of those as may be before their login; whoever comes then is closed unanswered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..kit.addresses import source_of

_log = logging.getLogger("dicomgate.gateway")
_SUMMARY = 1.0  # seconds: a flood is one line in so many


@dataclass(frozen=True, slots=True)
class Limits:
    """How many there may be; the names are those of the configuration's keys."""

    max_associations: int
    max_associations_per_source: int
    max_unauthenticated: int
    max_unauthenticated_per_source: int

    def __str__(self) -> str:
        return ", ".join(f"{key} = {value}" for key, value in asdict(self).items())


class _Counts:
    """Who has a place: in all, or of one source."""

    __slots__ = ("associations", "full", "unauthenticated")

    def __init__(self) -> None:
        self.associations = 0
        self.unauthenticated = 0  # they are among the associations; the full ones are not
        self.full = 0

    def __bool__(self) -> bool:
        return self.associations + self.full > 0


class Capacity:
    """Gives out the places. A change of `limits` counts from the next connection on.

    `turned_away` is called with the address of each connection that gets no place, and the limit that it met.
    """

    def __init__(self, limits: Limits, turned_away: Callable[[str, str], None]) -> None:
        self.limits = limits
        self._turned_away = turned_away
        self._all = _Counts()
        self._sources: dict[str, _Counts] = {}

    def enter(self, address: str) -> Slot | None:
        """A place for a connection from this address; give it back with `leave`. None: close it unanswered."""
        source = source_of(address)
        of_source = self._sources.get(source) or _Counts()
        full = self._reached(of_source)
        if full:
            limits = self.limits
            most, most_of_source = limits.max_unauthenticated, limits.max_unauthenticated_per_source
            if self._all.full >= most or of_source.full >= most_of_source:
                self._turned_away(address, full)
                return None
        self._sources[source] = of_source
        return Slot(self._sources, source, (self._all, of_source), full)

    def _reached(self, of_source: _Counts) -> str:
        """The limit that one more would be above, in words; "" if there is none."""
        limits, total = self.limits, self._all
        if of_source.unauthenticated >= (most := limits.max_unauthenticated_per_source):
            return f"its source has as many before their login as it may have (max_unauthenticated_per_source = {most})"
        if of_source.associations >= (most := limits.max_associations_per_source):
            return f"its source has as many associations as it may have (max_associations_per_source = {most})"
        if total.unauthenticated >= (most := limits.max_unauthenticated):
            return f"there are as many before their login as there may be (max_unauthenticated = {most})"
        if total.associations >= (most := limits.max_associations):
            return f"there are as many associations as there may be (max_associations = {most})"
        return ""


class Slot:
    """What a connection has from its accept to its end. `full`: "", or the limit that it stands above."""

    __slots__ = ("_counts", "_source", "_sources", "_unauthenticated", "full")

    def __init__(self, sources: dict[str, _Counts], source: str, counts: tuple[_Counts, ...], full: str) -> None:
        self._sources = sources
        self._source = source
        self._counts = counts
        self._unauthenticated = not full
        self.full = full
        for count in counts:
            if full:
                count.full += 1
            else:
                count.associations += 1
                count.unauthenticated += 1

    def admitted(self) -> None:
        """The authenticators have accepted."""
        if self._unauthenticated:
            self._unauthenticated = False
            for count in self._counts:
                count.unauthenticated -= 1

    def leave(self) -> None:
        """Give the place back; a second call is in vain."""
        self.admitted()  # or not: it awaits its login no more
        for count in self._counts:
            if self.full:
                count.full -= 1
            else:
                count.associations -= 1
        if self._counts and not self._counts[-1]:
            del self._sources[self._source]
        self._counts = ()


class DropLog:
    """Tells the operator of connections that were closed unanswered: one line a second, however many there are."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._count = 0
        self._last = "", ""

    def __call__(self, address: str, limit: str) -> None:
        """One more, from this address, because of this limit."""
        if not self._count:
            self._loop.call_later(_SUMMARY, self._tell)
        self._count += 1
        self._last = address, limit

    def _tell(self) -> None:
        _log.warning("connections closed unanswered: %d, the last of them from %s: %s", self._count, *self._last)
        self._count = 0
