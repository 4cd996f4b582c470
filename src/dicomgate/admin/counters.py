"""What happened since the start, in plain numbers: fed with each event in the loop, read in any thread.

Rule 1: no number belongs to a user, an AE title, an address or a reason: those come from peers, and have no end.
Rule 2: a reload changes nothing here. Names that a configuration no longer has keep their numbers.
Rule 3: an event costs about a microsecond, an idle association nothing: no dictionary has an entry for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeAlias

from ..events.events import Cause, Closed, Decided, Denied, Established, Event, Opened, Outcome, ReasonClass, Refused

DECISION = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ESTABLISH = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0)
CONNECT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
STATE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
LIFE = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)

NONE = "none"
_OUTCOMES = {
    Outcome.ACCEPT: "accept",
    Outcome.REJECT: "reject",
    Outcome.PASS: "nobody",
    Outcome.UNAVAILABLE: "unavailable",
}
_CAUSES = {cause: cause.name.lower() for cause in Cause}
_REACHED = {ReasonClass.UPSTREAM_REJECTED, ReasonClass.UPSTREAM_VIOLATION, ReasonClass.UPSTREAM_UNVERIFIED}
_FAILURES = {kind.value: kind in _REACHED for kind in (ReasonClass.UPSTREAM_DOWN, *_REACHED)}
_REJECT = "A-ASSOCIATE-RJ "

Labels: TypeAlias = tuple[str, ...]
Counts: TypeAlias = defaultdict[Labels, int]


class Histogram:
    """How many values were at most as large as each of `bounds`, in rising order; and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # each bucket by itself; the last one has what is larger than all
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class _Histograms(dict[Labels, Histogram]):
    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__()
        self._bounds = bounds

    def __missing__(self, labels: Labels) -> Histogram:
        self[labels] = made = Histogram(self._bounds)
        return made


class Counters:
    """Call it with each event. Its attributes are named as the metrics, and their keys are the values of the labels."""

    def __init__(self) -> None:
        self.connections = Counts(int)
        self.decisions = Counts(int)
        self.refusals = Counts(int)
        self.denials = Counts(int)
        self.established = Counts(int)
        self.closed = Counts(int)
        self.upstream_failures = Counts(int)
        self.upstream_up: dict[Labels, int] = {}
        self.relayed: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        """By upstream, of associations that are over: the numbers of `Traffic`, in their order."""
        self.decision_seconds = _Histograms(DECISION)
        self.establish_seconds = _Histograms(ESTABLISH)
        self.connect_seconds = _Histograms(CONNECT)
        self.association_seconds = _Histograms(LIFE)
        self.state_up = 1
        self.state_seconds = _Histograms(STATE)
        self.state_errors = Counts(int)
        self._began: dict[str, float] = {}  # by the id of those that are not established: when their client spoke
        self._take: dict[type[Event], Callable[[Any], None]] = {
            Opened: self._opened,
            Decided: self._decided,
            Refused: self._refused,
            Established: self._established,
            Denied: self._denied,
            Closed: self._closed,
        }

    def __call__(self, event: Event) -> None:
        """Count it."""
        self._take[event.__class__](event)

    def state_told(self, question: str, seconds: float, answered: bool) -> None:
        """The shared state was asked: count it. A `StateWatcher`."""
        self.state_up = int(answered)
        self.state_seconds[question,].observe(seconds)
        if not answered:
            self.state_errors[question,] += 1

    def _opened(self, event: Opened) -> None:
        facts = event.facts
        self.connections[facts.listener,] += 1
        self._began[facts.id] = perf_counter()

    def _decided(self, event: Decided) -> None:
        facts = event.facts
        by, kind = facts.authenticator or NONE, facts.identity_type
        labels = facts.listener, by, NONE if kind is None else str(kind), _OUTCOMES[event.outcome]
        self.decisions[labels] += 1
        if (began := self._began.get(facts.id)) is not None:
            self.decision_seconds[by,].observe(perf_counter() - began)

    def _refused(self, event: Refused) -> None:
        facts, kind, answer = event.facts, event.reason_class.value, event.answer
        codes = answer[len(_REJECT) : len(_REJECT) + 5]  # such as 1,2,1
        answer = codes if answer.startswith(_REJECT) else "abort" if answer else "close"
        self.refusals[facts.listener, answer, kind] += 1
        if facts.upstream and (reached := _FAILURES.get(kind)) is not None:
            self.upstream_failures[facts.upstream, kind] += 1
            self.upstream_up[facts.upstream,] = int(reached)

    def _established(self, event: Established) -> None:
        facts = event.facts
        self.established[facts.listener, facts.upstream] += 1
        self.upstream_up[facts.upstream,] = 1
        self.connect_seconds[facts.upstream,].observe(event.connect_seconds)
        if (began := self._began.pop(facts.id, None)) is not None:
            self.establish_seconds[facts.upstream,].observe(perf_counter() - began)

    def _denied(self, event: Denied) -> None:
        self.denials[event.facts.listener, "enforce" if event.enforced else "report"] += 1

    def _closed(self, event: Closed) -> None:
        facts = event.facts
        upstream = facts.upstream
        self.closed[upstream or NONE, _CAUSES[event.cause]] += 1
        began = self._began.pop(facts.id, None)  # None for one that came before this counted, too
        if began is not None or not upstream or event.cause is Cause.REFUSED:
            return  # it was never established
        self.association_seconds[upstream,].observe(event.seconds)
        relayed = self.relayed[upstream]
        relayed[0] += event.bytes_from_client
        relayed[1] += event.bytes_from_upstream
        relayed[2] += event.pdus_from_client
        relayed[3] += event.pdus_from_upstream
