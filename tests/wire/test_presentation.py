"""Presentation contexts: an odd id, one abstract syntax, transfer syntaxes; and their answers."""

from __future__ import annotations

import pytest

from dicomgate.testing import raw
from dicomgate.wire.presentation import AnsweredContext, ProposedContext, read_answered, read_proposed
from dicomgate.wire.reject_abort import INVALID_PARAMETER, PduError

ABSTRACT = raw.item(0x30, raw.VERIFICATION)
IMPLICIT = raw.item(0x40, raw.IMPLICIT)
EXPLICIT = raw.item(0x40, raw.EXPLICIT)
UNKNOWN = raw.item(0x99, b"x")


def read(data: bytes, *, answered: bool = False) -> ProposedContext | AnsweredContext:
    return (read_answered if answered else read_proposed)(data[4:])


def test_a_proposal() -> None:
    context = ProposedContext(255, raw.VERIFICATION, (raw.EXPLICIT, raw.IMPLICIT))
    data = raw.proposed(255, ABSTRACT, EXPLICIT, IMPLICIT)
    assert read(data) == context
    assert context.encode() == data
    # PS3.8 9.3.2.2 leaves the order of the sub-items open; reserved bytes are not tested.
    assert read(raw.proposed(255, EXPLICIT, UNKNOWN, ABSTRACT, IMPLICIT, reserved=b"\1\2\3")) == context


@pytest.mark.parametrize(
    ("syntaxes", "message"),
    [
        ((IMPLICIT,), "no abstract syntax"),
        ((ABSTRACT,), "no transfer syntax"),
        ((ABSTRACT, ABSTRACT, IMPLICIT), "two abstract syntaxes"),
        ((ABSTRACT, IMPLICIT, raw.item(0x58)), "item 58H does not belong"),
        ((ABSTRACT, IMPLICIT, raw.item(0x10)), "item 10H does not belong"),
        ((ABSTRACT, raw.item(0x40, b"x")), "a transfer syntax of 1 bytes is not a UID"),
        ((raw.item(0x30), IMPLICIT), "an abstract syntax of 0 bytes is not a UID"),
        ((ABSTRACT, IMPLICIT, b"\0"), "1 bytes left over"),
        ((ABSTRACT, raw.item(0x40, raw.IMPLICIT, length=18)), "declares 18 bytes, 17 are left"),
    ],
)
def test_a_malformed_proposal(syntaxes: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(PduError, match=message) as refused:
        read(raw.proposed(1, *syntaxes))
    assert refused.value.answer == INVALID_PARAMETER


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("context", [0, 2, 128, 254])
def test_an_even_id(context: int, answered: bool) -> None:
    with pytest.raises(PduError, match=f"id {context} is not odd"):
        read((raw.answered if answered else raw.proposed)(context), answered=answered)


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_too_short_for_its_fixed_fields(size: int, answered: bool) -> None:
    with pytest.raises(PduError, match=f"item of {size} bytes"):
        read(raw.item(0x20, bytes((1, 0, 0, 0))[:size]), answered=answered)


def test_an_acceptance() -> None:
    context = AnsweredContext(3, 0, raw.IMPLICIT)
    assert read(raw.answered(3, 0, UNKNOWN, IMPLICIT), answered=True) == context
    assert context.encode() == raw.answered(3)
    assert context.accepted


@pytest.mark.parametrize("result", [1, 2, 3, 4])
@pytest.mark.parametrize("syntaxes", [(IMPLICIT,), (raw.item(0x40),), (raw.item(0x40, b"\xff"),), (UNKNOWN,)])
def test_the_transfer_syntax_of_a_rejection_is_not_significant(result: int, syntaxes: tuple[bytes, ...]) -> None:
    context = read(raw.answered(3, result, *syntaxes), answered=True)
    assert context == AnsweredContext(3, result, b"")
    assert not context.accepted


@pytest.mark.parametrize(
    ("result", "syntaxes", "message"),
    [
        (5, (IMPLICIT,), "result 5"),
        (255, (IMPLICIT,), "result 255"),
        (0, (IMPLICIT, EXPLICIT), "two transfer syntaxes"),
        (0, (IMPLICIT, IMPLICIT), "two transfer syntaxes"),
        (0, (UNKNOWN,), "no transfer syntax"),
        (0, (raw.item(0x40),), "not a UID"),
        (0, (ABSTRACT, IMPLICIT), "item 30H does not belong"),
        (3, (ABSTRACT,), "item 30H does not belong"),
        (3, (b"\0",), "left over"),
    ],
)
def test_a_malformed_answer(result: int, syntaxes: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(PduError, match=message):
        read(raw.answered(1, result, *syntaxes), answered=True)
