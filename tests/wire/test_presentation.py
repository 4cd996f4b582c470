"""Presentation contexts: an odd id, one abstract syntax, transfer syntaxes; and their answers."""

from __future__ import annotations

import pytest

from dicomgate.testing import raw
from dicomgate.wire import presentation
from dicomgate.wire.presentation import AnsweredContext, ProposedContext, read_answered, read_proposed
from dicomgate.wire.reject_abort import INVALID_PARAMETER, PduError

ABSTRACT = raw.item(0x30, raw.VERIFICATION)
IMPLICIT = raw.item(0x40, raw.IMPLICIT)
EXPLICIT = raw.item(0x40, raw.EXPLICIT)
UNKNOWN = raw.item(0x99, b"x")


def read(data: bytes, *, answered: bool = False) -> ProposedContext | AnsweredContext:
    return (read_answered if answered else read_proposed)(data[4:], [])


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
        ((ABSTRACT, ABSTRACT, IMPLICIT), "two abstract syntaxes"),
        ((ABSTRACT, IMPLICIT, raw.item(0x58)), "item 58H does not belong"),
        ((ABSTRACT, IMPLICIT, raw.item(0x10)), "item 10H does not belong"),
        ((ABSTRACT, raw.item(0x30, b"x"), IMPLICIT), "presentation context 1: two abstract syntaxes"),
        ((raw.item(0x30, b"x"), ABSTRACT, IMPLICIT), "two abstract syntaxes"),
        ((ABSTRACT, IMPLICIT * 80), "too many items"),
        ((ABSTRACT, IMPLICIT, b"\0"), "1 bytes left over"),
        ((ABSTRACT, raw.item(0x40, raw.IMPLICIT, length=18)), "declares 18 bytes, 17 are left"),
    ],
)
def test_a_malformed_proposal(syntaxes: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(PduError, match=message) as refused:
        read(raw.proposed(1, *syntaxes))
    assert refused.value.answer == INVALID_PARAMETER


# decision: D34
@pytest.mark.parametrize(
    ("syntaxes", "result", "left_out"),
    [
        ((IMPLICIT,), 3, "no abstract syntax"),
        ((raw.item(0x30), IMPLICIT), 3, 'its abstract syntax "" (0 bytes) is not a UID'),
        ((raw.item(0x30, b"1" * 200), IMPLICIT), 3, "(200 bytes) is not a UID"),
        ((ABSTRACT,), 4, "no transfer syntax (abstract syntax 1.2.840.10008.1.1)"),
        ((ABSTRACT, raw.item(0x40, b"1.2a"), raw.item(0x40)), 4, 'not UIDs: 2 of 2, the first is "1.2" and then 61H'),
        ((ABSTRACT, IMPLICIT * 79), None, ""),
        ((raw.item(0x30, raw.VERIFICATION + b" \0"), raw.item(0x40, raw.IMPLICIT + b"\0")), None, ""),
        ((ABSTRACT, raw.item(0x40, b"x"), IMPLICIT), None, "transfer syntaxes that are not UIDs: 1 of 2"),
    ],
)
def test_a_context_is_refused_alone_or_goes_on_without_what_cannot_be_read(
    syntaxes: tuple[bytes, ...], result: int | None, left_out: str
) -> None:
    told: list[str] = []
    context = read_proposed(raw.proposed(7, *syntaxes)[4:], told)
    if result is not None:
        assert context == AnsweredContext(7, result, raw.IMPLICIT)
    else:
        assert isinstance(context, ProposedContext)
        assert (context.abstract_syntax, set(context.transfer_syntaxes)) == (raw.VERIFICATION, {raw.IMPLICIT})
    assert len(told) == bool(left_out)
    assert all(text.startswith("presentation context 7: ") and left_out in text for text in told)


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
        (0, (IMPLICIT, EXPLICIT), "two transfer syntaxes"),
        (0, (IMPLICIT, IMPLICIT), "two transfer syntaxes"),
        (0, (UNKNOWN,), "without a transfer syntax"),
        (0, (raw.item(0x40),), r'presentation context 1: its transfer syntax "" \(0 bytes\) is not a UID'),
        (0, (ABSTRACT, IMPLICIT), "item 30H does not belong"),
        (3, (ABSTRACT,), "item 30H does not belong"),
        (3, (b"\0",), "left over"),
    ],
)
def test_a_malformed_answer(result: int, syntaxes: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(PduError, match=message):
        read(raw.answered(1, result, *syntaxes), answered=True)


# decision: D28
@pytest.mark.parametrize("result", [5, 255])
def test_an_unknown_result_is_no_acceptance(result: int) -> None:
    told: list[str] = []
    assert read_answered(raw.answered(3, result)[4:], told) == AnsweredContext(3, 2, b"")
    assert told == [f"presentation context 3: its result {result}, which the standard does not know"]


def test_long_contexts_are_not_remembered() -> None:
    def kept_after(data: bytes) -> int:
        read(data)
        return presentation._remembered_syntaxes.cache_info().currsize

    presentation._remembered_syntaxes.cache_clear()
    assert kept_after(raw.proposed(1, ABSTRACT, raw.item(0x40, raw.IMPLICIT + bytes(2048)))) == 0
    assert kept_after(raw.proposed(1)) == 1
