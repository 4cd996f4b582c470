"""The numbers of the running gateway, as Prometheus reads them.

Law: nothing waits for a scrape. It runs in the thread that serves HTTP, reads what the gateway's loop writes without a
lock, and lets the loop go on after every few associations.

A registry of our own: what other libraries put into the common one is none of an administrator's business.
"""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from .. import __version__
from ..events.events import Cause
from ..run.generation import Generation
from ..run.server import Server
from ..sessions.register import Traffic
from .counters import NONE, Counters, Histogram, Labels
from .lag import LoopLag
from .metrics import BY_NAME, Metric
from .status import addresses_of

_AT_ONCE = 200  # associations that are read before the loop may go on
_DEFECT = Cause.DEFECT.name.lower()
_STATM, _PAGE = Path("/proc/self/statm"), os.sysconf("SC_PAGE_SIZE")
_DIRECTIONS = "from_client", "from_upstream"
_Values: TypeAlias = Mapping[Any, float | Histogram]
"""By the values of the labels."""


class Metrics:
    """Counts from now on what happens in a server, and shows it. Its methods are for any thread."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._counters = Counters()
        self._lag = LoopLag(server.loop)
        self._registry = CollectorRegistry()
        self._registry.register(_Reading(server, self._counters, self._lag))
        server.loop.call_soon_threadsafe(self._begin)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics and their content type: in the format of Prometheus, or OpenMetrics if `accept` asks for it.

        `accept` is the header of the request. For one thread at a time.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is none
            encode, content_type = choose_encoder("")
        return encode(self._registry), content_type

    def close(self) -> None:
        """Count no more."""
        self._server.loop.call_soon_threadsafe(self._end)

    def _begin(self) -> None:
        self._lag.start()
        self._server.records.watchers.append(self._counters)
        self._server.adopted.append(self._adopt)
        self._adopt(self._server.generation)

    def _adopt(self, generation: Generation) -> None:
        watchers = generation.protection.state.watchers
        if self._counters.state_told not in watchers:  # a reload may keep the state
            watchers.append(self._counters.state_told)

    def _end(self) -> None:
        self._lag.stop()
        self._server.records.watchers.remove(self._counters)
        self._server.adopted.remove(self._adopt)
        self._server.generation.protection.state.watchers.remove(self._counters.state_told)


class _Reading(Collector):
    """Reads all numbers, each time that somebody asks."""

    def __init__(self, server: Server, counters: Counters, lag: LoopLag) -> None:
        self._server = server
        self._counters = counters
        self._lag = lag
        self._shown: dict[str, list[int]] = {}  # what was relayed, as it was shown last

    def collect(self) -> Iterator[Family]:
        """Each metric with its samples."""
        for name, values in self._values():
            yield _family(BY_NAME[name], values)
            _let_go()

    def _values(self) -> Iterator[tuple[str, _Values]]:
        yield from self._of_gateway()
        yield from self._of_associations()
        counters = self._counters
        yield "connections", dict[Labels, int].fromkeys(self._listeners(), 0) | counters.connections
        yield "decisions", counters.decisions.copy()
        yield "decision_seconds", counters.decision_seconds.copy()
        yield "refusals", counters.refusals.copy()
        yield "denials", counters.denials.copy()
        yield "associations_established", dict.fromkeys(self._ways(), 0) | counters.established
        # With zeros, so that the first one is seen as a rise.
        defects: dict[Labels, int] = {(upstream, _DEFECT): 0 for _, upstream in self._ways()}
        yield "associations_closed", defects | counters.closed
        yield "association_seconds", counters.association_seconds.copy()
        yield "establish_seconds", counters.establish_seconds.copy()
        yield "upstream_up", counters.upstream_up.copy()
        yield "upstream_connect_seconds", counters.connect_seconds.copy()
        yield "upstream_failures", counters.upstream_failures.copy()
        yield from self._of_addresses()
        yield "state_up", {(): counters.state_up}
        yield "state_seconds", counters.state_seconds.copy()
        yield "state_errors", dict.fromkeys(counters.state_seconds.copy(), 0) | counters.state_errors
        yield "event_loop_lag_seconds", {(): self._lag.seconds}
        # Not by the library's own collector: it counts the open files one by one.
        yield "process_cpu_seconds", {(): time.process_time()}
        yield "process_resident_memory_bytes", {(): int(_STATM.read_text().split()[1]) * _PAGE}
        yield "process_start_time_seconds", {(): self._server.history.started.timestamp()}

    def _of_gateway(self) -> Iterator[tuple[str, _Values]]:
        history, capacity = self._server.history, self._server.capacity
        yield "build_info", {(__version__, platform.python_version()): 1}
        yield "config_generation", {(): history.generation}
        yield "config_last_reload_successful", {(): not history.problems}
        yield "config_last_reload_success_timestamp_seconds", {(): history.since.timestamp()}
        yield "config_reloads", {("success",): history.generation - 1, ("failure",): history.failures}
        yield "draining", {(): history.draining}
        generation = self._server.generation
        yield from self._of_audit()
        ends: dict[Labels, float] = {}
        for certificate in generation.assembly.certificates:
            labels, end = (certificate.use, certificate.name), certificate.ends.timestamp()
            ends[labels] = min(end, ends.get(labels, end))
        yield "certificate_not_after_timestamp_seconds", ends
        yield "associations_unauthenticated", {(): capacity.unauthenticated}
        yield "associations_limit", {(limit,): most for limit, most in asdict(capacity.limits).items()}
        yield "connections_turned_away", {(limit,): count for limit, count in capacity.turned_away.items()}

    def _of_audit(self) -> Iterator[tuple[str, _Values]]:
        sinks = self._server.generation.audit.sinks
        yield "audit_sink_up", {(sink.label,): not sink.problem for sink in sinks}
        yield "audit_records", {(sink.label,): sink.records for sink in sinks}
        yield "audit_lost", {(sink.label,): sink.lost for sink in sinks}
        spools = {(sink.label,): sink.spool for sink in sinks if sink.spool is not None}
        yield "audit_spool_records", {label: spool.waiting for label, spool in spools.items()}
        yield "audit_spool_bytes", {label: spool.size for label, spool in spools.items()}
        yield "audit_spool_oldest_timestamp_seconds", {label: spool.oldest for label, spool in spools.items()}

    def _of_associations(self) -> Iterator[tuple[str, _Values]]:
        # First those that are over, then the others: one that ends in between is missing, and never counted twice.
        over = self._counters.relayed.copy()
        relayed = defaultdict[str, list[int]](lambda: [0, 0, 0, 0], {name: [*sums] for name, sums in over.items()})
        live = defaultdict[Labels, int](int, dict.fromkeys(self._ways(), 0))
        sessions = [*self._server.register]
        for start in range(0, len(sessions), _AT_ONCE):
            _let_go()
            by_way = defaultdict[Labels, list[Traffic | None]](list)
            for session in sessions[start : start + _AT_ONCE]:
                facts = session.facts
                by_way[facts.listener, facts.upstream].append(session.traffic)
            for (listener, upstream), traffic in by_way.items():
                live[listener, upstream or NONE] += len(traffic)
                if upstream:
                    relayed[upstream] = [*map(sum, zip(relayed[upstream], *filter(None, traffic), strict=False))]
        for name, sums in relayed.items():
            # What is missing comes the next time. A counter that falls would be a restart for Prometheus.
            self._shown[name] = [*map(max, sums, self._shown.get(name, sums))]
        yield "associations", live
        for metric, first in ("relayed_bytes", 0), ("relayed_pdus", 2):
            yield (
                metric,
                {
                    (name, direction): sums[first + offset]
                    for name, sums in self._shown.items()
                    for offset, direction in enumerate(_DIRECTIONS)
                },
            )

    def _of_addresses(self) -> Iterator[tuple[str, _Values]]:
        names = self._server.generation.assembly.upstreams
        found = {(name, one.address): one for name in names for one in addresses_of(self._server, name)}
        up = {labels: one.up and one.order == "ready" for labels, one in found.items()}
        yield "upstream_address_up", up
        yield "upstream_address_associations", {labels: one.associations for labels, one in found.items()}
        yield "upstream_address_failures", {labels: one.failures for labels, one in found.items()}
        checked = {labels: one.check_seconds for labels, one in found.items() if one.check_seconds is not None}
        yield "upstream_address_check_seconds", checked

    def _listeners(self) -> set[Labels]:
        return {(listener.policy.listener,) for listener in self._server.generation.assembly.listeners.values()}

    def _ways(self) -> list[Labels]:
        """From which listener to which upstream associations may go, as configured now."""
        policies = (listener.policy for listener in self._server.generation.assembly.listeners.values())
        ways = {(policy.listener, route.upstream) for policy in policies for route in policy.routes.values()}
        return sorted(ways)


def _let_go() -> None:
    """Let the gateway's loop go on: whoever holds the interpreter's lock and never waits keeps it for 5 ms."""
    time.sleep(1e-6)


def _family(metric: Metric, values: _Values) -> Family:
    name, labels = metric.family, metric.labels
    if metric.kind == "histogram":
        histograms = HistogramMetricFamily(name, metric.says, labels=labels)
        for key, value in values.items():
            if isinstance(value, Histogram):
                counts = zip([*map(str, value.bounds), "+Inf"], accumulate(value.counts), strict=True)
                histograms.add_metric(key, [*counts], value.sum)
        return histograms
    made = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(name, metric.says, labels=labels)
    for key, value in values.items():
        if not isinstance(value, Histogram):
            made.add_metric(key, value)
    return made
