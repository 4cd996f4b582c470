"""The metrics on events alone: what is counted, that nobody can make more series, that a sum never falls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from dicomgate.admin import lag as lag_module
from dicomgate.admin.collector import Metrics
from dicomgate.admin.counters import Counters
from dicomgate.admin.lag import LoopLag
from dicomgate.admin.metrics import METRICS
from dicomgate.events.events import (
    Cause,
    Closed,
    Decided,
    Denied,
    Established,
    Event,
    Facts,
    Opened,
    Outcome,
    ReasonClass,
    Refused,
)
from dicomgate.net.capacity import Capacity, Limits
from dicomgate.net.pool import Conduct, Pool
from dicomgate.run.history import History
from dicomgate.run.named_files import NamedCertificate
from dicomgate.run.server import Server
from dicomgate.sessions.register import Register, Session, Traffic
from dicomgate.state import open_state
from dicomgate.state.protocol import StateUnavailable
from dicomgate.state.sqlite import SqliteState
from dicomgate.state.watched import WatchedState

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CERTIFICATE = NamedCertificate("listener clinical.tls.certificate", Path("gate.pem"), "gate.hospital.example", NOW)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Sample = tuple[str, frozenset[str]]


def facts(number: int, *, upstream: str = "pacs") -> Facts:
    """What is known of an association when it is established; all that its peer chose is its own."""
    text = f"peer-{number}"
    return Facts(text, "clinical", text, number, text, text, 2, text, text, "staff", upstream)


def admitted(number: int) -> Iterator[Event]:
    """All events of an association that is established and released."""
    known = facts(number)
    text = f"peer-{number}"
    yield Opened(known, NOW)
    yield Decided(known, NOW, Outcome.ACCEPT, text, (text,), {text: text}, (text,))
    yield Established(known, NOW, (text,), (text,), (text,), (text,), text, (text, text), text, 0.5)
    yield Denied(known, NOW, text, text, text, True, (text,))
    yield Closed(known, NOW, Cause.RELEASED, text, 2.0, 10, 20, 1, 2, {text: 1}, {text: 1})


def refused(number: int, answer: str, kind: ReasonClass, *, upstream: str = "") -> Iterator[Event]:
    """All events of an association that is refused."""
    known = facts(number, upstream=upstream)
    yield Opened(known, NOW)
    yield Decided(known, NOW, Outcome.REJECT, f"peer-{number}")
    yield Refused(known, NOW, answer, f"peer-{number}", kind)
    yield Closed(known, NOW, Cause.REFUSED, f"peer-{number}", 0.1)


def fed(counters: Counters, events: Iterator[Event]) -> None:
    """Count these events."""
    for event in events:
        counters(event)


class Gauged(NamedTuple):
    """The metrics of a server, the counters that it feeds, and the loop that it would run in."""

    metrics: Metrics
    counters: Counters
    server: Any
    loop: asyncio.AbstractEventLoop

    def samples(self) -> dict[Sample, float]:
        """All samples by name and the values of their labels."""
        text = self.metrics.exposition("")[0].decode()
        families = parser.text_string_to_metric_families(text)
        return {(it.name, frozenset(it.labels.values())): it.value for family in families for it in family.samples}


SINK = SimpleNamespace(label="json", problem="No space left on device", records=9, lost=7, spool=None)
ATNA = SimpleNamespace(
    label="atna", problem="", records=8, lost=0, spool=SimpleNamespace(waiting=3, size=4_500, oldest=1_700_000_000.5)
)


@contextmanager
def gauged() -> Iterator[Gauged]:
    """The metrics of a server without sockets."""
    policy = SimpleNamespace(listener="clinical", routes={"*": SimpleNamespace(upstream="pacs")})
    listeners = {("127.0.0.1", 0): SimpleNamespace(policy=policy)}
    pool = Pool("pacs", ["pacs-a:104", "pacs-b:104"], Conduct(fall=1), lambda _: None)
    pool.failed(pool.members[0], "Connection refused", 0)
    pool.ask(pool.members[1], 0)
    pool.members[1].check_seconds = 0.25
    loop = asyncio.new_event_loop()
    later = CERTIFICATE._replace(path=Path("gate-2.pem"), ends=NOW + timedelta(days=9))
    server = SimpleNamespace(
        loop=loop,
        records=SimpleNamespace(watchers=[]),
        adopted=[],
        history=History(NOW),
        capacity=Capacity(Limits(500, 100, 200, 50), lambda *_: None),
        register=Register(),
        generation=SimpleNamespace(
            assembly=SimpleNamespace(
                listeners=listeners,
                certificates=(CERTIFICATE, later),
                upstreams={"pacs": pool},
                pool={"pacs": pool}.get,
            ),
            protection=SimpleNamespace(state=WatchedState(open_state(None, None))),
            audit=SimpleNamespace(sinks=(SINK, ATNA)),
        ),
    )
    try:
        made = Metrics(cast(Server, server))
        loop.run_until_complete(asyncio.sleep(0))
        (counters,) = server.records.watchers
        yield Gauged(made, counters, server, loop)
        made.close()
        loop.run_until_complete(asyncio.sleep(0))
        assert (server.records.watchers, server.adopted, server.generation.protection.state.watchers) == ([], [], [])
    finally:
        loop.run_until_complete(server.generation.protection.state.close())
        loop.close()


def at(name: str, *labels: str) -> Sample:
    """A sample by the values of its labels."""
    return f"dicomgate_{name}", frozenset(labels)


def test_of_those_that_came_before_it_counts_the_established() -> None:
    counters = Counters()
    for events in (
        admitted(1),
        refused(2, "", ReasonClass.UPSTREAM_DOWN, upstream="pacs"),
        refused(3, "", ReasonClass.NOT_DICOM),
    ):
        *_, closed = events
        counters(closed)
    assert {labels: life.sum for labels, life in counters.association_seconds.items()} == {("pacs",): 2.0}
    assert counters.relayed == {"pacs": [10, 20, 1, 2]}


def test_each_event_is_counted() -> None:
    with gauged() as made:
        fed(made.counters, admitted(1))
        fed(made.counters, refused(2, "A-ASSOCIATE-RJ 1,2,1 (rejected)", ReasonClass.WRONG_CREDENTIAL))
        fed(made.counters, refused(3, "A-ABORT 2,1 (aborted)", ReasonClass.NOT_DICOM))
        fed(made.counters, refused(4, "", ReasonClass.TLS))
        fed(made.counters, refused(5, "A-ASSOCIATE-RJ 2,3,1", ReasonClass.UPSTREAM_DOWN, upstream="pacs"))
        found = made.samples()
    assert found[at("connections_total", "clinical")] == 5
    assert found[at("decisions_total", "clinical", "staff", "2", "accept")] == 1
    assert found[at("decisions_total", "clinical", "staff", "2", "reject")] == 4
    assert found[at("decision_seconds_count", "staff")] == 5
    assert found[at("refusals_total", "clinical", "1,2,1", "wrong_credential")] == 1
    assert found[at("refusals_total", "clinical", "abort", "not_dicom")] == 1
    assert found[at("refusals_total", "clinical", "close", "tls")] == 1
    assert found[at("upstream_failures_total", "pacs", "upstream_down")] == 1
    assert found[at("upstream_up", "pacs")] == 0
    up, there = "upstream_address_up", "upstream_address_associations"
    assert [found[at(name, "pacs", f"pacs-{one}:104")] for name in (up, there) for one in "ab"] == [0, 1, 0, 1]
    assert found[at("upstream_address_failures_total", "pacs", "pacs-a:104")] == 1
    checks = [labels for name, labels in found if name == "dicomgate_upstream_address_check_seconds"]
    assert checks == [{"pacs", "pacs-b:104"}], "the other one was not checked"
    assert found[at("upstream_address_check_seconds", "pacs", "pacs-b:104")] == 0.25
    assert found[at("upstream_connect_seconds_sum", "pacs")] == 0.5
    assert found[at("denials_total", "clinical", "enforce")] == 1
    assert found[at("associations_established_total", "clinical", "pacs")] == 1
    assert found[at("associations_closed_total", "pacs", "released")] == 1
    assert found[at("associations_closed_total", "none", "refused")] == 3
    assert found[at("establish_seconds_count", "pacs")] == 1
    assert found[at("association_seconds_bucket", "pacs", "1.0")] == 0
    assert found[at("association_seconds_bucket", "pacs", "5.0")] == 1
    assert found[at("association_seconds_sum", "pacs")] == 2
    assert found[at("audit_lost_total", "json")] == 7
    assert found[at("audit_sink_up", "json")] == 0
    assert found[at("audit_spool_records", "atna")] == 3
    assert found[at("audit_spool_oldest_timestamp_seconds", "atna")] == 1_700_000_000.5
    assert found[at("certificate_not_after_timestamp_seconds", CERTIFICATE.use, CERTIFICATE.name)] == NOW.timestamp()
    assert found[at("relayed_bytes_total", "pacs", "from_upstream")] == 20
    assert found[at("relayed_pdus_total", "pacs", "from_client")] == 1


def test_no_peer_can_make_series() -> None:
    with gauged() as made:
        for kind in ReasonClass:
            fed(made.counters, refused(0, "A-ASSOCIATE-RJ 1,2,1", kind, upstream="pacs"))
        fed(made.counters, admitted(0))
        fed(made.counters, refused(0, "A-ASSOCIATE-RJ 1,2,1", ReasonClass.NO_ROUTE))
        before = made.samples()
        for number in range(1, 10_001):
            fed(made.counters, admitted(number))
            fed(made.counters, refused(number, "A-ASSOCIATE-RJ 1,2,1", ReasonClass.WRONG_CREDENTIAL))
        after = made.samples()
        assert made.counters._began == {}, "an association that is over costs nothing"
    assert after.keys() == before.keys()
    assert len(after) < 500
    assert after[at("connections_total", "clinical")] > 20_000
    assert not any("peer" in value for _, labels in after for value in labels)


def test_a_sum_does_not_fall_when_an_association_ends_during_a_scrape() -> None:
    def relayed(made: Gauged) -> float:
        return made.samples()[at("relayed_bytes_total", "pacs", "from_client")]

    session: Any = SimpleNamespace(id="peer-1", facts=facts(1), traffic=Traffic(10, 20, 1, 2, 0.0))
    with gauged() as made:
        made.server.register.enter(cast(Session, session))
        assert relayed(made) == 10
        session.traffic = None  # it has just ended, and is not counted yet
        assert relayed(made) == 10
        fed(made.counters, admitted(1))
        assert relayed(made) == 10
        fed(made.counters, admitted(2))
        assert relayed(made) == 20


def test_a_state_that_does_not_answer_is_seen_and_counted() -> None:
    class Broken(SqliteState):
        async def refund(self, keys: Sequence[str]) -> None:
            raise StateUnavailable("gone")

    with gauged() as made:
        made.loop.run_until_complete(made.server.generation.protection.state.refund([]))
        assert made.samples()[at("state_up")] == 1
        after = WatchedState(Broken(None))
        for _ in ("a reload with another state", "one that keeps it"):
            for tell in made.server.adopted:
                tell(SimpleNamespace(protection=SimpleNamespace(state=after)))
        with pytest.raises(StateUnavailable):
            made.loop.run_until_complete(after.refund([]))
        made.loop.run_until_complete(after.close())
        found = made.samples()
    assert found[at("state_up")] == 0
    assert found[at("state_seconds_count", "refund")] == 2
    assert found[at("state_errors_total", "refund")] == 1


def test_a_loop_that_is_held_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def held_up(lag: LoopLag) -> None:
        lag.start()
        time.sleep(0.06)
        await asyncio.sleep(0.05)
        lag.stop()

    monkeypatch.setattr(lag_module, "EVERY", 0.005)
    with gauged() as made:
        lag = LoopLag(made.loop)
        made.loop.run_until_complete(held_up(lag))
    late = sum(lag.seconds.counts[lag.seconds.bounds.index(0.05) + 1 :])
    assert late >= 1
    assert sum(lag.seconds.counts) > late


@pytest.mark.parametrize(
    ("accept", "openmetric"), [("", False), ("text/plain;version=0.0.4", False), (OPENMETRICS, True)]
)
def test_both_formats_are_as_their_parsers_want_them(accept: str, openmetric: bool) -> None:
    with gauged() as made:
        fed(made.counters, admitted(1))
        data, content_type = made.metrics.exposition(accept)
    assert content_type.startswith("application/openmetrics-text" if openmetric else "text/plain")
    parse = openmetrics_parser if openmetric else parser
    names = {family.name for family in parse.text_string_to_metric_families(data.decode())}
    assert names == {metric.family for metric in METRICS}
