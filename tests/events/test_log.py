"""The operator's log: one line for each event, with the id in front; nothing from a peer moves a cursor."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from dicomgate.events.events import Cause, Decided, Event, Outcome
from dicomgate.events.log import quoted, write_log
from tests.events.examples import CLOSED, ESTABLISHED, NASTY, NOW, OPENED, REFUSED, REJECTED, naughty, printable


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dicomgate")


@pytest.mark.parametrize(
    ("event", "level", "line"),
    [
        (OPENED, "DEBUG", "a1: opened by 192.0.2.1 port 50000 on listener clinical"),
        (REJECTED, "WARNING", 'a1: not accepted by staff (identity type 2, user "alice"): reject: wrong passcode'),
        (
            replace(REJECTED, outcome=Outcome.ACCEPT, reason="", user="alice.l"),
            "INFO",
            'a1: accepted by staff as "alice.l" (identity type 2, user "alice")',
        ),
        (
            replace(REJECTED, outcome=Outcome.UNAVAILABLE, reason="down", identity_type=5, claimed=None),
            "ERROR",
            "a1: not accepted by staff (identity type 5, no username): unavailable: down",
        ),
        (
            Decided("a1", NOW, Outcome.PASS, "", "nobody", None, None),
            "WARNING",
            "a1: not accepted (no identity, no username): nobody claims it: nobody",
        ),
        (REFUSED, "WARNING", "a1: refused with A-ASSOCIATE-RJ 1,2,1: staff: wrong passcode"),
        (replace(REFUSED, answer=""), "WARNING", "a1: refused with a closed connection: staff: wrong passcode"),
        (
            ESTABLISHED,
            "INFO",
            "a1: established CT1 -> PACS through upstream pacs, 1 contexts accepted, 1 rejected; left out: a name",
        ),
        (CLOSED, "INFO", "a1: closed after 1.235 s: released; relayed 1 bytes from the client, 2 from the upstream"),
        (
            replace(CLOSED, cause=Cause.IDLE, detail="30m"),
            "WARNING",
            "a1: closed after 1.235 s: idle for too long (30m); relayed 1 bytes from the client, 2 from the upstream",
        ),
    ],
    ids=lambda it: type(it).__name__ if not isinstance(it, str) else "",
)
def test_the_line_of_an_event(event: Event, level: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
    write_log(event)
    assert caplog.record_tuples == [("dicomgate.association", getattr(logging, level), line)]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_words(cause: Cause, caplog: pytest.LogCaptureFixture) -> None:
    write_log(replace(CLOSED, cause=cause))
    assert cause.value in caplog.text


def poisoned(text: str) -> list[Event]:
    return [
        replace(REJECTED, claimed=text),
        replace(REJECTED, reason=text),
        replace(REJECTED, outcome=Outcome.ACCEPT, user=text),
        replace(REFUSED, reason=text),
        replace(ESTABLISHED, called_ae_title=text, calling_ae_title=text),
        replace(CLOSED, detail=text),
    ]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_nothing_from_a_peer_moves_a_cursor_or_begins_a_line(text: str, caplog: pytest.LogCaptureFixture) -> None:
    for event in poisoned(text):
        write_log(event)
    assert len(caplog.messages) == 6
    for line in caplog.messages:
        assert printable(line), ascii(line)
        assert "\n" not in line
        assert len(line) < 2 * 256 + 200


def test_no_naughty_string_does(caplog: pytest.LogCaptureFixture) -> None:
    strings = naughty()
    for text in strings:
        for event in poisoned(text):
            write_log(event)
    assert len(caplog.messages) == 6 * len(strings)
    assert all(printable(line) and "\n" not in line for line in caplog.messages)


def test_quoted_says_the_same_in_ascii() -> None:
    assert quoted("alice") == '"alice"'
    assert quoted('Ä"\n\x7f') == '"\\u00c4\\"\\n\\u007f"'
    for text in NASTY:
        assert json.loads(quoted(text)) == text[:256]
