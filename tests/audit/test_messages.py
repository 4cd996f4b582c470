"""Each audit message is as PS3.15 A.5 says: by its schema, by a public one, and by the tables of A.5.3."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from dicomgate.audit.messages import Message, Messages, Record, concerns
from dicomgate.events.events import Cause, Lost, Operated, Outcome, ReasonClass, Refused
from tests.events.examples import (
    ACCEPTED,
    CLAIMED,
    CLOSED,
    DENIED,
    ESTABLISHED,
    FACTS,
    LOGGED_IN,
    NASTY,
    NOW,
    OPENED,
    REFUSED,
    naughty,
)

MAKE = Messages("gate-1", "Hospital A & B")
XSD = Path(__file__).parents[3] / "shared" / "corpora" / "atna" / "dicom2017c.xsd"
LOGIN, LOGOUT, ALERT = ("110114", "110122"), ("110114", "110123"), "110113"
NODE_AUTHENTICATION, SECURITY_CONFIGURATION, USER_ATTRIBUTES = "110126", "110129", "110137"
MALFORMED = Refused(LOGGED_IN._replace(user=None), NOW, "A-ABORT", "not a PDU", ReasonClass.MALFORMED)
THROTTLED = REFUSED._replace(
    reason_class=ReasonClass.THROTTLED, reason="throttled: known:blocked waits 30 s more (...)"
)
LOCKED = THROTTLED._replace(reason_class=ReasonClass.LOCKED, reason="throttled: ..., known:alice is locked ...")
AFTER_ACCEPT = Refused(FACTS, NOW, "A-ASSOCIATE-RJ 2,3,1", "pacs: down", ReasonClass.UPSTREAM_DOWN)
IDLE = CLOSED._replace(cause=Cause.IDLE)
SMUGGLED = CLOSED._replace(cause=Cause.CLIENT_VIOLATION, detail="a PDU of type 9")
KICK = Operated(NOW, "kick", "a1", "uid 1000 (alice)", "maintenance")
RELOAD = Operated(NOW, "reload", "", "SIGHUP", problem="dicomgate.toml:3: unknown key")
AT_THE_PAGE = Operated(NOW, "log in", "the page, from 192.0.2.7", "staff/alice")
LOST = Lost(NOW, 3, NOW, NOW + timedelta(seconds=5), "the spool is full")
RECORDS: list[Record] = [
    ACCEPTED, REFUSED, MALFORMED, THROTTLED, LOCKED, AFTER_ACCEPT, CLOSED, IDLE, SMUGGLED, KICK, RELOAD, AT_THE_PAGE,
    LOST,
]  # fmt: skip


@cache
def schemas() -> list[etree.RelaxNG | etree.XMLSchema]:
    """The standard's, and that of IPF where it is there."""
    found: list[etree.RelaxNG | etree.XMLSchema]
    found = [etree.RelaxNG(etree.parse(Path(__file__).with_name("audit-message.rng")))]
    return [*found, etree.XMLSchema(etree.parse(XSD))] if XSD.exists() else found


def made(record: Record) -> Iterator[etree._Element]:
    """Its messages, each valid."""
    for message in MAKE.of(record):
        yield valid(message)


def valid(message: Message) -> etree._Element:
    root = etree.fromstring(message.xml.encode())
    for schema in schemas():
        schema.assertValid(root)
    assert len(root.findall("ActiveParticipant[@UserIsRequestor='true']")) <= 1
    return root


def kind(root: etree._Element) -> tuple[str | None, str | None]:
    event = root.find("EventIdentification")
    assert event is not None
    return event[0].get("csd-code"), event[1].get("csd-code")


def outcome(root: etree._Element) -> str:
    return str(root.xpath("string(EventIdentification/@EventOutcomeIndicator)"))


def people(root: etree._Element) -> list[tuple[str | None, str | None]]:
    """UserID and UserIsRequestor of all who take part."""
    return [(one.get("UserID"), one.get("UserIsRequestor")) for one in root.iter("ActiveParticipant")]


PERSON, GATEWAY = ("alice.liddell@staff", "true"), ("gate-1", "false")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (ACCEPTED, [(LOGIN, "0", [PERSON, GATEWAY])]),
        (REFUSED, [(LOGIN, "4", [("alice", "true"), GATEWAY])]),
        (THROTTLED, [(LOGIN, "8", [("alice", "true"), GATEWAY])]),
        (LOCKED, [(LOGIN, "12", [("alice", "true"), GATEWAY])]),
        (AFTER_ACCEPT, [(LOGOUT, "4", [("alice.liddell@staff", "false"), ("gate-1", "true")])]),
        (CLOSED, [(LOGOUT, "0", [PERSON, GATEWAY])]),
        (IDLE, [(LOGOUT, "0", [("alice.liddell@staff", "false"), ("gate-1", "true")])]),
        (MALFORMED, [((ALERT, NODE_AUTHENTICATION), "4", [GATEWAY, ("CT1", "false")])]),
        (
            SMUGGLED,
            [(LOGOUT, "0", [PERSON, GATEWAY]), ((ALERT, NODE_AUTHENTICATION), "8", [GATEWAY, ("CT1", "false")])],
        ),
        (KICK, [((ALERT, USER_ATTRIBUTES), "0", [GATEWAY, ("uid 1000 (alice)", "false")])]),
        (replace(KICK, action="let in"), [((ALERT, USER_ATTRIBUTES), "0", [GATEWAY, ("uid 1000 (alice)", "false")])]),
        (RELOAD, [((ALERT, SECURITY_CONFIGURATION), "4", [GATEWAY, ("SIGHUP", "false")])]),
        (AT_THE_PAGE, [(LOGIN, "0", [("staff/alice", "true"), GATEWAY])]),
        (LOST, [((ALERT, "110133"), "8", [GATEWAY]), ((ALERT, "110134"), "8", [GATEWAY])]),
    ],
)
def test_each_record_has_its_messages(record: Record, expected: list[object]) -> None:
    assert [(kind(root), outcome(root), people(root)) for root in made(record)] == expected


def test_a_login_says_from_where_to_where_and_in_which_association() -> None:
    facts = ACCEPTED.facts._replace(via="10.0.0.5")
    (root,) = made(ACCEPTED._replace(facts=facts, attributes={"principal": "alice@HOSPITAL.EXAMPLE"}))
    person, gateway = root.iter("ActiveParticipant")
    # PS3.15 A.5.3.12: of the person, both are mandatory
    assert (person.get("NetworkAccessPointTypeCode"), person.get("NetworkAccessPointID")) == ("2", "192.0.2.1")
    assert person.get("AlternativeUserID") == "alice@HOSPITAL.EXAMPLE"
    assert gateway.get("AlternativeUserID") == "AETITLES=PACS"
    assert root.xpath("string(//RoleIDCode/@csd-code)") == "110150"
    assert root.xpath("string(//@EventDateTime)") == "2026-01-02T03:04:05.678Z"
    assert root.xpath("string(//@AuditEnterpriseSiteID)") == "Hospital A & B"
    assert "via 10.0.0.5, association a1" in root.xpath("string(//EventOutcomeDescription)")


def test_an_alert_describes_itself() -> None:
    (root,) = made(MALFORMED)
    detail = root.find("ParticipantObjectIdentification/ParticipantObjectDetail")
    # PS3.15 A.5.3.11: "Alert Description"
    assert detail is not None
    assert detail.get("type") == "Alert Description"
    assert base64.b64decode(detail.get("value", "")).startswith(b"malformed: not a PDU")


@pytest.mark.parametrize("started", [True, False])
def test_start_and_stop_name_the_process_and_its_launcher(started: bool) -> None:
    root = valid(MAKE.activity(started=started))
    assert kind(root) == ("110100", "110120" if started else "110121")
    # PS3.15 A.5.3.1
    assert [role.get("csd-code") for role in root.iter("RoleIDCode")] == ["110150", "110151"]


def test_events_without_a_message_are_passed_by() -> None:
    for event in (OPENED, ESTABLISHED, DENIED, ACCEPTED._replace(outcome=Outcome.REJECT)):
        assert not concerns(event)
    assert not concerns(CLOSED._replace(cause=Cause.REFUSED))
    assert not concerns(CLOSED._replace(facts=CLAIMED))
    assert concerns(ACCEPTED)
    assert concerns(REFUSED)
    assert concerns(CLOSED)


def test_text_from_outside_breaks_no_message_and_makes_none_too_long() -> None:
    for text in [*NASTY, *naughty(), '<x a="b">&amp;\'', "é" * 9_999]:
        facts = LOGGED_IN._replace(claimed=text, calling_ae_title=text, user=None)
        for kind_of in (ReasonClass.WRONG_CREDENTIAL, ReasonClass.MALFORMED):
            for message in MAKE.of(REFUSED._replace(facts=facts, reason=text, reason_class=kind_of)):
                valid(message)
                # PS3.15 A.6: at least 32,768 bytes must be taken; no more are sent
                assert len(message.xml.encode()) < 32_000
                assert message.xml.isprintable()
