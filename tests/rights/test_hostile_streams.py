"""Clients that mean to have done what no rule grants, at a PACS that picks services from the command alone."""

from __future__ import annotations

import pytest

from dicomgate.association import effects as do
from dicomgate.events.events import Cause
from tests.association.conversation import CLIENT, UPSTREAM
from tests.rights.hostile import GRANTED, HOSTILE
from tests.rights.limited import Limited
from tests.rights.naive_pacs import done_by
from tests.wire.commands import element, us


def test_there_are_enough() -> None:
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_no_rule_grants_is_done(name: str, size: int) -> None:
    case = HOSTILE[name]
    granted = GRANTED[case.rights]
    assert case.means in done_by(case.stream) - granted, "a PACS that got it would do it"
    talk = Limited(case.rights)
    assert talk.send(CLIENT, case.control) == []
    assert talk.received[UPSTREAM] == case.control, "what is granted passes"
    assert done_by(case.control) <= granted

    effects: list[object] = []
    for at in range(0, len(case.stream), size):
        effects += talk.send(CLIENT, case.stream[at : at + size])
        if any(isinstance(effect, do.Close) for effect in effects):
            break
    assert done_by(bytes(talk.received[UPSTREAM])) <= granted
    if case.answers is None:
        first, second, close = effects
        assert isinstance(first, do.Abort | do.Reset)
        assert isinstance(second, do.Abort)
        assert isinstance(close, do.Close)
        assert close.cause is Cause.CLIENT_VIOLATION
    else:
        assert effects == []
        assert talk.received[CLIENT].count(element(0x0900, us(0x0124))) == case.answers
        before = len(talk.received[UPSTREAM])
        assert talk.send(CLIENT, case.control) == []
        assert talk.received[UPSTREAM][before:] == case.control, "the association goes on"
