"""docs/records.md tells every event, field, outcome and cause; docs/troubleshooting.md has the code's own log lines."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any

import pytest

from dicomgate.events import events
from dicomgate.events.audit import line_of, record
from dicomgate.testing.pages import DOCS, ROOT, blocks, rows, section, text

RECORDS = DOCS / "records.md"


EVENTS = (events.Opened, events.Decided, events.Refused, events.Established, events.Denied, events.Closed)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_field_of_an_event_is_documented(event: type[events.Event]) -> None:
    first_table = re.split(r"\n\| (?:outcome|class|cause) ", section(RECORDS, event.__name__))[0]
    assert [row[0].strip("`") for row in rows(first_table)] == list(event._fields[1:])


def test_every_fact_of_an_association_is_documented() -> None:
    assert [row[0].strip("`") for row in rows(section(RECORDS, "Every record"))] == [*events.Facts._fields]


def test_every_event_is_documented() -> None:
    assert set(EVENTS) == set(events.Event.__args__)


@pytest.mark.parametrize(
    ("enum", "heading"), [(events.Outcome, "Decided"), (events.ReasonClass, "Refused"), (events.Cause, "Closed")]
)
def test_every_outcome_class_and_cause_is_documented(enum: type[Enum], heading: str) -> None:
    named = [row[0].strip("`") for row in rows(section(RECORDS, heading))]
    assert named[-len(enum) :] == [member.value for member in enum]


def test_the_audit_records_that_are_shown_are_whole() -> None:
    (shown,) = blocks(RECORDS, "json")
    kinds = {event.__name__: event for event in EVENTS}
    seen = set()
    *of_associations, lost, operated = shown.text.splitlines()
    for line in of_associations:
        values = json.loads(line)
        event = kinds[values["event"]]
        seen.add(values["event"])
        own = list(event._fields[1:])
        assert list(values) == ["event", "node", *events.Facts._fields, *own]
        facts = events.Facts(*[values[name] for name in events.Facts._fields])
        made = event(facts, *[_as_python(values[name], name) for name in own])
        assert {**record(made), "node": values["node"]} == values
    assert seen == set(kinds)
    for kind, line in ((events.Lost, lost), (events.Operated, operated)):
        values = json.loads(line)
        names = [field.name for field in fields(kind)]
        assert [row[0].strip("`") for row in rows(section(RECORDS, kind.__name__))] == names
        told = kind(*[_as_python(values[name], name) for name in names])
        assert json.loads(line_of(told, values["node"])) == values


def _as_python(value: Any, field: str) -> Any:
    enums = {"outcome": events.Outcome, "cause": events.Cause, "reason_class": events.ReasonClass}
    if field in ("time", "since", "until"):
        return datetime.fromisoformat(value)
    return enums[field](value) if field in enums else value


OF_THE_SYSTEM = {"pacs: 127.0.0.1:4242: Connection refused"}


def test_the_log_lines_of_the_troubleshooting_table_are_the_codes() -> None:
    house = "".join(text(path) for folder in ("src", "plugins") for path in (ROOT / folder).rglob("*.py"))
    unknown, known = [], 0
    for row in rows(text(DOCS / "troubleshooting.md")):
        for shown in set(re.findall(r"`([^`]+)`", row[-2])) - OF_THE_SYSTEM:
            # What the code fills in, a name or a number, is not in its source: the longest piece between must be.
            pieces = re.split(r"\.\.\.|\d+|: |pacs|not answered|the peer speaks |, and", shown)
            longest = max(pieces, key=len).strip(" ()")
            known += longest in house
            if longest not in house:
                unknown.append(shown)
    assert unknown == []
    assert known > 10
