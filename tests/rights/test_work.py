"""What an audit tells of the work that was done, and what it does not tell."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomgate.cli.suggestion import in_toml
from dicomgate.events.audit import record
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
from dicomgate.rights.suggest import suggested
from dicomgate.rights.table import RuleTable
from dicomgate.rights.work import ANY, Client, Done, Use, Work, work_of

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ECHO, CT, FIND, MOVE, GET = (
    f"1.2.840.10008.{end}" for end in ("1.1", "5.1.4.1.1.2", "5.1.4.1.2.2.1", "5.1.4.1.2.2.2", "5.1.4.1.2.2.3")
)
ALICE = Facts("a1", "clinical", "192.0.2.17", 4000, "WS_1", "PACS", 2, "alice", "alice", "staff", "pacs")
CT1 = ALICE._replace(calling_ae_title="CT1", identity_type=None, claimed=None, user="CT1", authenticator="devices")


def association(
    facts: Facts = ALICE,
    *,
    groups: tuple[str, ...] = ("radiology",),
    accepted: tuple[str, ...] = (ECHO, FIND),
    used: dict[str, int] | None = None,
    denied: dict[str, int] | None = None,
    enforced: bool = True,
    end: datetime = NOON,
) -> list[Event]:
    """The records of an association from its beginning to its end."""
    early = facts._replace(user=None, upstream="")
    events: list[Event] = [
        Opened(early, end),
        Decided(facts._replace(upstream=""), end, Outcome.ACCEPT, "", groups),
        Established(facts, end, accepted, ()),
    ]
    events += [Denied(facts, end, kind, "C-X-RQ", "allow", enforced) for kind in denied or ()]
    return [*events, Closed(facts, end, Cause.RELEASED, "", 1.5, used=used, denied=denied)]


def lines(events: Iterable[Event]) -> list[bytes]:
    return [json.dumps({**record(event), "node": "gate"}).encode() for event in events]


def work(*associations: list[Event], since: datetime | None = None) -> Work:
    return work_of([line for events in associations for line in lines(events)], since)


def uses(*associations: list[Event]) -> set[Use]:
    (done,) = work(*associations).clients.values()
    return done.used


READER = Client("staff", "pacs", "alice", frozenset({"radiology"}))
DEVICE = Client("devices", "pacs", calling_ae_title="CT1", network="192.0.2.0/24")


def test_what_was_counted_is_what_was_used() -> None:
    moves = {"find": 3, "move WS_1": 1, "move TEACHING 2": 1, "echo": 0}
    found = work(association(accepted=(ECHO, FIND, MOVE), used=moves), association(used={"find": 1}))
    used = {Use("find"), Use("move", "WS_1", own=True), Use("move", "TEACHING 2")}
    assert found.clients == {READER: Done(2, 0, used, {"echo", "find", "move"})}
    assert (found.associations, found.first, found.left_out) == (2, NOON, {})


def test_what_went_through_in_report_mode_was_used_too() -> None:
    for enforced, used in ((False, {Use("find"), Use("store")}), (True, {Use("find")})):
        assert uses(association(used={"find": 1}, denied={"store": 2}, enforced=enforced)) == used


def test_what_no_rule_can_allow_is_told() -> None:
    events = association(used={"echo": 1})
    broken = Denied(ALICE, NOON, "", "A-ABORT 2,6: C-FIND-RQ on a context of storage", "", enforced=False)
    found = work([*events[:-1], broken, events[-1]])
    assert found.clients[READER].used == {Use("echo")}
    assert [("no rule can allow" in why, count) for why, count in found.left_out.items()] == [(True, 1)]


def test_without_counts_it_is_what_was_accepted() -> None:
    private = "1.3.46.670589.5.0.1"
    assert uses(association(accepted=(ECHO, CT, private, MOVE))) == {
        *(Use("echo"), Use("store"), Use(private), Use("move", ANY))
    }
    fetching = work(association(accepted=(GET, CT, private)))
    assert fetching.clients == {READER: Done(1, 1, {Use("get")}, set())}
    assert uses(association(accepted=(GET, CT), used={})) == set(), "nobody asked for anything"


@pytest.mark.parametrize(
    ("facts", "groups", "client"),
    [
        (ALICE, ("radiology",), READER),
        (ALICE, (), Client("staff", "pacs", "alice")),
        (CT1, (), DEVICE),
        (CT1._replace(address="2001:db8:1:2::7"), (), DEVICE._replace(network="2001:db8:1:2::/64")),
        (CT1._replace(address="::ffff:192.0.2.9"), (), DEVICE),
        (CT1, ("modalities",), Client("devices", "pacs", "CT1", frozenset({"modalities"}))),
        (ALICE, ("radiology", "x" * 300), READER),
    ],
)
def test_who_did_it(facts: Facts, groups: tuple[str, ...], client: Client) -> None:
    assert list(work(association(facts, groups=groups)).clients) == [client]


@pytest.mark.parametrize(
    ("left_out", "why"),
    [
        (association(ALICE._replace(user="a" * 300)), "cut"),
        (association(groups=("x" * 300,)), "cut"),
        (association(CT1._replace(calling_ae_title="CT*"), groups=()), "no rule can hold"),
        (association(CT1._replace(calling_ae_title="own"), groups=()), "no rule can hold"),
        (association(used={"move *": 1}), "no rule can hold"),
        (association(used={"move own": 1}), "no rule can hold"),
        (association(used={"teleport": 1}), "no rule can hold"),
        (association(used={"find": 1, "other": 70}), "more kinds"),
        (association()[2:], "beginning"),
        (association()[:3], "whose end"),
    ],
)
def test_what_cannot_be_told_is_counted_and_left_out(left_out: list[Event], why: str) -> None:
    other = association(ALICE._replace(id="b2"), used={"echo": 1})
    found = work(left_out, other)
    assert found.clients == {READER: Done(1, 0, {Use("echo")}, {"echo", "find"})}
    assert [(why in reason, count) for reason, count in found.left_out.items()] == [(True, 1)]


def test_who_was_refused_did_no_work() -> None:
    opened, decided, *_ = association()
    refused = Refused(ALICE, NOON, "A-ASSOCIATE-RJ 2,3,1", "down", ReasonClass.UPSTREAM_DOWN)
    closed = Closed(ALICE, NOON, Cause.REFUSED, "", 0.1)
    assert work([opened, decided, refused, closed]) == Work()
    assert work(association()).associations == 1


def test_lines_that_are_no_records() -> None:
    broken = [b"\xff\n", b"{}\n", b"[]\n", b"[" * 10_000, b'"x"', b"", *lines(association())[-1:]]
    broken[-1] = broken[-1].replace(b'"time": "2026', b'"time": "today')
    broken += [b'{"event": "Trouble", "node": "gate", "id": "1"}', b'{"event": "Lost", "node": "gate", "count": 7}']
    found = work_of([*broken, *lines(association())])
    assert found.associations == 1
    assert {reason.split()[0]: count for reason, count in found.left_out.items()} == {"lines": 8, "records": 7}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["…", "*", "\x7f", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.data())
def test_whatever_a_record_says_the_suggestion_loads(data: st.DataObject) -> None:
    events = [*association(used={"move WS_1": 1}), *association(CT1._replace(id="c"), groups=())]
    records = [{**record(event), "node": "gate"} for event in events]
    for _ in range(data.draw(st.integers(1, 3))):
        changed = data.draw(st.sampled_from(records))
        changed[data.draw(st.sampled_from(sorted(changed)))] = data.draw(JSON)
    found = work_of([json.dumps(one).encode() for one in records])
    tables = tomllib.loads(in_toml(found, suggested(found.clients))).get("rule", [])
    assert all(RuleTable.model_validate(table).rule.authenticators for table in tables)
    assert len(tables) <= 3


def test_only_what_ended_since_then() -> None:
    old, new = association(end=NOON - timedelta(days=8)), association(CT1, groups=(), end=NOON)
    assert list(work(old, new, since=NOON - timedelta(days=7)).clients) == [DEVICE]
    assert len(work(old, new).clients) == 2


def test_associations_that_never_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomgate.rights.work._MOST_OPEN", 2)
    begun = [association(ALICE._replace(id=f"{number}"))[:3] for number in range(5)]
    (count,) = work(*begun, association()).left_out.values()
    assert count == 5
