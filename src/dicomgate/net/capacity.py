"""How many connections there may be: in all and of one source, before and after their login.

Rule: one source cannot use up the slots of all others, and clients that have not logged in cannot use up the slots of
those that have. A connection over a limit is still answered, so that its client learns to come again: its slot says
which limit it is over. There are only as many of those as may be unauthenticated; the next one is closed unanswered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..kit.addresses import source_of


@dataclass(frozen=True, slots=True)
class Limits:
    """How many there may be; the names are those of the configuration's keys."""

    max_associations: int
    max_associations_per_source: int
    max_unauthenticated: int
    max_unauthenticated_per_source: int

    def __str__(self) -> str:
        return ", ".join(f"{key} = {value}" for key, value in asdict(self).items())


MOST_UNANNOUNCED = 64
"""Connections from load balancers whose PROXY header is still to come."""
_WORDS = {
    "max_unauthenticated_per_source": "too many unauthenticated connections from its source",
    "max_associations_per_source": "too many associations from its source",
    "max_unauthenticated": "too many unauthenticated connections",
    "max_associations": "too many associations",
    "proxy_header": f"already {MOST_UNANNOUNCED} connections from load balancers without a PROXY header",
}


class _Counts:
    """The slots in use: in all, or of one source."""

    __slots__ = ("associations", "over_limit", "unauthenticated")

    def __init__(self) -> None:
        self.associations = 0
        self.unauthenticated = 0  # these are among the associations; those over a limit are not
        self.over_limit = 0

    def __bool__(self) -> bool:
        return self.associations + self.over_limit > 0


class Capacity:
    """Gives out the slots. A change of `limits` counts from the next connection on.

    `dropped` is called with the address of each connection that gets no slot, and the limit that it met. `turned_away`
    counts them by the key of that limit.
    """

    def __init__(self, limits: Limits, dropped: Callable[[str, str], None]) -> None:
        self.limits = limits
        self.turned_away = dict.fromkeys(_WORDS, 0)
        self._dropped = dropped
        self._all = _Counts()
        self._sources: dict[str, _Counts] = {}
        self._unannounced = _Counts()

    @property
    def associations(self) -> int:
        """How many there are; those over a limit do not count."""
        return self._all.associations

    @property
    def unauthenticated(self) -> int:
        """How many of them have not logged in."""
        return self._all.unauthenticated

    def acquire(self, address: str) -> Slot | None:
        """A slot for a connection from this address; give it back with `release`. None: close it unanswered."""
        source = source_of(address)
        of_source = self._sources.get(source) or _Counts()
        over_limit = ""
        if limit := self._reached(of_source):
            limits = self.limits
            over_limit = f"{_WORDS[limit]} ({limit} = {getattr(limits, limit)})"
            most, most_of_source = limits.max_unauthenticated, limits.max_unauthenticated_per_source
            if self._all.over_limit >= most or of_source.over_limit >= most_of_source:
                self.turned_away[limit] += 1
                self._dropped(address, over_limit)
                return None
        self._sources[source] = of_source
        return Slot(self._sources, source, (self._all, of_source), over_limit)

    def acquire_unannounced(self, address: str) -> Slot | None:
        """As `acquire`, for one of a load balancer whose client is not known yet. They are counted by themselves."""
        if self._unannounced.associations >= MOST_UNANNOUNCED:
            self.turned_away["proxy_header"] += 1
            self._dropped(address, _WORDS["proxy_header"])
            return None
        return Slot({}, "", (self._unannounced,), "")

    def _reached(self, of_source: _Counts) -> str:
        """The key of the limit that one more connection would be over; "" if there is none."""
        limits, total = self.limits, self._all
        if of_source.unauthenticated >= limits.max_unauthenticated_per_source:
            return "max_unauthenticated_per_source"
        if of_source.associations >= limits.max_associations_per_source:
            return "max_associations_per_source"
        if total.unauthenticated >= limits.max_unauthenticated:
            return "max_unauthenticated"
        if total.associations >= limits.max_associations:
            return "max_associations"
        return ""


class Slot:
    """What a connection holds from its accept to its end. `over_limit`: "", or the limit that it is over."""

    __slots__ = ("_counts", "_source", "_sources", "_unauthenticated", "over_limit")

    def __init__(self, sources: dict[str, _Counts], source: str, counts: tuple[_Counts, ...], over_limit: str) -> None:
        self._sources = sources
        self._source = source
        self._counts = counts
        self._unauthenticated = not over_limit
        self.over_limit = over_limit
        for count in counts:
            if over_limit:
                count.over_limit += 1
            else:
                count.associations += 1
                count.unauthenticated += 1

    def admitted(self) -> None:
        """The authenticators have accepted: it no longer counts as unauthenticated."""
        if self._unauthenticated:
            self._unauthenticated = False
            for count in self._counts:
                count.unauthenticated -= 1

    def release(self) -> None:
        """Give the slot back. Idempotent."""
        self.admitted()  # or refused: in either case it no longer waits for its login
        for count in self._counts:
            if self.over_limit:
                count.over_limit -= 1
            else:
                count.associations -= 1
        if self._counts and not self._counts[-1]:
            self._sources.pop(self._source, None)
        self._counts = ()
