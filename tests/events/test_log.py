"""The operator's log: one line for each event, with the id in front; nothing from a peer moves a cursor."""

from __future__ import annotations

import json
import logging

import pytest

from dicomgate.cli.logs import JsonFormatter
from dicomgate.events.audit import record as audit_record
from dicomgate.events.events import CONTEXT, Cause, Event, ReasonClass
from dicomgate.events.log import quoted, write_log
from tests.events.examples import (
    ACCEPTED,
    ADDRESS,
    CLAIMED,
    CLOSED,
    DENIED,
    ESTABLISHED,
    FACTS,
    LOGGED_IN,
    NASTY,
    REFUSED,
    naughty,
)

TICKET = CLAIMED._replace(identity_type=3, claimed=None)


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dicomgate")


WHERE = '192.0.2.1 port 50000, listener clinical, via 10.0.0.5 ("C0A8")'
WRONG = "staff: wrong passcode; answered with A-ASSOCIATE-RJ 1,2,1"
RELAYED = "after 1.235 s, 1 bytes from the client, 2 from the upstream"
ACCEPTED_ONE = "1 SOP classes accepted, 1 rejected; credential ours; the upstream sees GATE -> ARC"
LACKS = 'C-STORE-RQ: no rule allows it; it would take allow = "store"'
ACCEPTED_ONE = "1 SOP classes accepted, 1 rejected; credential ours; the upstream sees GATE -> ARC"
LACKS = 'C-STORE-RQ: no rule allows it; it would take allow = "store"'
WHO = f'{WHERE}, CT1 -> PACS, user "alice.liddell" (staff)'


@pytest.mark.parametrize(
    ("event", "level", "line"),
    [
        (ACCEPTED, "DEBUG", f"a1: decided accept: {WHO}"),
        (
            REFUSED,
            "WARNING",
            f'a1: login refused: {WHERE}, CT1 -> PACS, claimed user "alice": {WRONG}',
        ),
        (
            REFUSED._replace(reason="down", reason_class=ReasonClass.UNAVAILABLE, facts=TICKET),
            "ERROR",
            f"a1: refused: {WHERE}, CT1 -> PACS, identity type 3: down; answered with A-ASSOCIATE-RJ 1,2,1",
        ),
        (
            REFUSED._replace(answer="", reason="no TLS", reason_class=ReasonClass.TLS, facts=ADDRESS),
            "WARNING",
            f"a1: refused: {WHERE}: no TLS; answered with a closed connection",
        ),
        (
            REFUSED._replace(reason="no rule", reason_class=ReasonClass.NOT_GRANTED, facts=LOGGED_IN),
            "WARNING",
            f"a1: refused: {WHO}: no rule; answered with A-ASSOCIATE-RJ 1,2,1",
        ),
        (
            ESTABLISHED,
            "INFO",
            (
                f"a1: established: {WHO}, upstream pacs: at pacs-b:104; {ACCEPTED_ONE}; "
                "no rule allows: store; left out: a name"
            ),
        ),
        (
            DENIED,
            "WARNING",
            f"a1: denied: {WHO}, upstream pacs: {LACKS}; matching rules: readers",
        ),
        (
            DENIED._replace(operation=CONTEXT),
            "DEBUG",
            f"a1: denied: {WHO}, upstream pacs: {LACKS}; matching rules: readers".replace("C-STORE-RQ", CONTEXT),
        ),
        (
            DENIED._replace(enforced=False, rules=()),
            "INFO",
            f"a1: would have been denied: {WHO}, upstream pacs: {LACKS}; matching rules: none",
        ),
        (
            DENIED._replace(operation="two messages in a PDU", missing="", enforced=False),
            "INFO",
            f"a1: would have been aborted: {WHO}, upstream pacs: two messages in a PDU",
        ),
        (
            CLOSED,
            "INFO",
            f"a1: closed (released): {WHO}, upstream pacs: {RELAYED}",
        ),
        (
            CLOSED._replace(cause=Cause.IDLE, detail="30m"),
            "WARNING",
            f"a1: closed (idle for too long: 30m): {WHO}, upstream pacs: {RELAYED}",
        ),
    ],
    ids=lambda it: type(it).__name__ if not isinstance(it, str) else "",
)
def test_the_line_of_an_event(event: Event, level: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
    write_log(event)
    assert caplog.record_tuples == [("dicomgate.association", getattr(logging, level), line)]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_words(cause: Cause, caplog: pytest.LogCaptureFixture) -> None:
    write_log(CLOSED._replace(cause=cause))
    assert cause.value in caplog.text


def poisoned(text: str) -> list[Event]:
    return [
        REFUSED._replace(facts=CLAIMED._replace(claimed=text)),
        REFUSED._replace(reason=text),
        ESTABLISHED._replace(facts=FACTS._replace(user=text)),
        ESTABLISHED._replace(facts=FACTS._replace(called_ae_title=text, calling_ae_title=text)),
        CLOSED._replace(detail=text),
    ]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_nothing_from_a_peer_moves_a_cursor_or_begins_a_line(text: str, caplog: pytest.LogCaptureFixture) -> None:
    for event in poisoned(text):
        write_log(event)
    assert len(caplog.messages) == 5
    for line in caplog.messages:
        assert line.isprintable(), ascii(line)
        assert line.startswith(("a1: login refused: 192.0.2.1 port", "a1: established: 192", "a1: closed (")), line


def test_no_naughty_string_does(caplog: pytest.LogCaptureFixture) -> None:
    strings = naughty()
    for text in strings:
        for event in poisoned(text):
            write_log(event)
    assert len(caplog.messages) == 5 * len(strings)
    assert all(line.isprintable() for line in caplog.messages)


def test_quoted_shows_what_is_printable_and_escapes_the_rest() -> None:
    assert quoted("Ärztin 山田") == '"Ärztin 山田"'
    assert quoted('a"\\\n\x7f\u202e') == '"a\\"\\\\\\n\\x7f\\u202e"'
    assert len(quoted("x" * 999)) == 258


def test_a_line_ends_no_quote_early(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody can put words of ours behind a name: the only quotes that are not escaped are those around it."""
    write_log(REFUSED._replace(facts=CLAIMED._replace(claimed='x": staff: "y')))
    assert 'claimed user "x\\": staff: \\"y": staff: wrong passcode' in caplog.text


def test_the_json_format_has_the_fields_of_the_audit() -> None:
    record = logging.makeLogRecord({"msg": "a1: refused", "levelname": "WARNING", "event": REFUSED})
    line = json.loads(JsonFormatter().format(record))
    assert audit_record(REFUSED).items() - {("time", None)} <= line.items() | {("time", audit_record(REFUSED)["time"])}
    assert (line["level"], line["message"]) == ("WARNING", "a1: refused")
