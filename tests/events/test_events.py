"""The records themselves: frozen, and what an audit may rely on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

from dicomgate.events.events import Cause, Event, Facts, Outcome, ReasonClass, Refused
from tests.events.examples import FACTS

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_every_event_has_the_id_of_its_association_and_a_time() -> None:
    kinds = get_args(Event)
    assert {kind.__name__ for kind in kinds} == {"Opened", "Decided", "Refused", "Established", "Denied", "Closed"}
    for kind in kinds:
        assert kind._fields[:2] == ("facts", "time")


def test_what_was_told_cannot_be_changed() -> None:
    refused = Refused(FACTS, NOW, "A-ASSOCIATE-RJ", "why", ReasonClass.TLS)
    with pytest.raises(AttributeError):
        refused.reason = "another"  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        refused.passcode = "x"  # type: ignore[attr-defined]
    assert refused.reason == "why"


def test_no_field_could_hold_a_credential() -> None:
    names = {*Facts._fields, *(name for kind in get_args(Event) for name in kind._fields)}
    assert names.isdisjoint({"identity", "primary", "secondary", "passcode", "ticket", "token", "server_response"})
    assert "claimed" in names


def test_outcomes_and_causes_have_words_of_their_own() -> None:
    for kind in (Outcome, Cause, ReasonClass):
        words = [member.value for member in kind]
        assert len(set(words)) == len(words)
        assert all(word.isascii() and word.isprintable() for word in words)
