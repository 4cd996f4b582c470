"""A-ASSOCIATE-RQ and -AC: one reading of the bytes, or none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.items import KNOWN
from dicomgate.wire.presentation import AnsweredContext
from dicomgate.wire.reject_abort import APPLICATION_CONTEXT, INVALID_PARAMETER, NO_CONTEXT, PROTOCOL_VERSION, PduError

LOGIN = raw.login(2, b"alice", b"pw", response=1)
USER_INFORMATION = raw.user_information(LOGIN)
ANSWER = raw.user_information(raw.item(0x59, raw.field(b"ticket")))


def refused(pdu: bytes, message: str, which: type[AssociateRequest | AssociateAccept] = AssociateRequest) -> bytes:
    with pytest.raises(PduError, match=message) as error:
        which.parse(pdu)
    return error.value.answer.encode()


def test_a_canonical_request_is_its_own_encoding() -> None:
    pdu = raw.rq(LOGIN)
    request = AssociateRequest.parse(pdu)
    assert (request.called_ae_title, request.calling_ae_title) == ("ANY-SCP", "ECHOSCU")
    assert request.identity is not None
    assert request.encode() == pdu


def test_a_request_without_its_login_is_the_same_pdu_without_58h() -> None:
    request = AssociateRequest.parse(raw.rq(LOGIN))
    request.identity = None
    assert request.encode() == raw.rq()


def test_a_canonical_answer_is_its_own_encoding() -> None:
    pdu = raw.ac(raw.item(0x59, raw.field(b"ticket")))
    accept = AssociateAccept.parse(pdu)
    assert accept.server_response == b"ticket"
    assert accept.encode(AssociateRequest.parse(raw.rq(LOGIN))) == pdu


def test_an_answer_repeats_the_titles_of_the_request_and_its_own_are_not_tested() -> None:
    accept = AssociateAccept.parse(raw.ac(called=b"\0" * 16, calling=b"\xff" * 16))
    assert accept.encode(AssociateRequest.parse(raw.rq(called=b"PACS", calling=b"CT 1"))) == raw.ac(
        called=b"PACS", calling=b"CT 1"
    )


@pytest.mark.parametrize("version", [1, 3, 0xFFFF])
def test_bit_0_of_the_protocol_version_is_set(version: int) -> None:
    assert AssociateRequest.parse(raw.rq(LOGIN, version=version)).encode() == raw.rq(LOGIN)


# decision: D16
@pytest.mark.parametrize("version", [0, 2, 0x0100, 0xFFFE])
def test_bit_0_of_the_protocol_version_is_not_set(version: int) -> None:
    assert refused(raw.rq(LOGIN, version=version), "protocol version") == PROTOCOL_VERSION.encode()
    assert refused(raw.ac(version=version), "protocol version", AssociateAccept) == PROTOCOL_VERSION.encode()


# decision: D17
def test_another_application_context() -> None:
    pdu = raw.associate(1, raw.item(0x10, b"1.2.3"), raw.proposed(), USER_INFORMATION)
    assert refused(pdu, r"the application context is 1\.2\.3") == APPLICATION_CONTEXT.encode()


@pytest.mark.parametrize("title", [b"A", b"A B", b"  A", b"16 characters ab", b"~!'[]{}", b"A\0", b" A\0 \0"])
def test_ae_titles(title: bytes) -> None:
    request = AssociateRequest.parse(raw.rq(called=title, calling=title))
    assert request.called_ae_title == request.calling_ae_title == title.decode().strip(" \0")


@pytest.mark.parametrize("title", [b"", b"A\\B", b"A\0B", b"\0A", b"\0", b"A\n", b"\x1b[2J", b"\xc3\xa9", b"A\x7f"])
def test_what_is_no_ae_title(title: bytes) -> None:
    assert refused(raw.rq(called=title), "the called AE title") == INVALID_PARAMETER.encode()
    assert refused(raw.rq(calling=title), "the calling AE title") == INVALID_PARAMETER.encode()


@pytest.mark.parametrize("size", [0, 6, 7, 73])
def test_too_short_for_its_fixed_fields(size: int) -> None:
    for parse, pdu in ((AssociateRequest, raw.rq()), (AssociateAccept, raw.ac())):
        assert refused(pdu[:size], f"of {size} bytes", parse) == INVALID_PARAMETER.encode()


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((raw.proposed(), USER_INFORMATION), "no application context"),
        ((raw.APPLICATION_CONTEXT, USER_INFORMATION), "no presentation context"),
        ((raw.APPLICATION_CONTEXT, raw.proposed()), "no user information"),
        ((raw.APPLICATION_CONTEXT, raw.APPLICATION_CONTEXT, raw.proposed(), USER_INFORMATION), "two application"),
        ((raw.APPLICATION_CONTEXT, raw.proposed(), raw.proposed(), USER_INFORMATION), "have the id 1"),
        ((raw.APPLICATION_CONTEXT, raw.proposed(), USER_INFORMATION, USER_INFORMATION), "two user information"),
        ((raw.APPLICATION_CONTEXT, raw.proposed(), raw.user_information(), USER_INFORMATION), "two user information"),
        ((raw.APPLICATION_CONTEXT, raw.proposed(), USER_INFORMATION, LOGIN), "item 58H does not belong in the PDU"),
        ((raw.APPLICATION_CONTEXT, LOGIN, raw.proposed(), raw.user_information()), "item 58H does not belong"),
        ((raw.APPLICATION_CONTEXT, raw.proposed(), raw.user_information(LOGIN, LOGIN)), "two user identity"),
        (
            (raw.APPLICATION_CONTEXT, raw.proposed(), raw.user_information(LOGIN, raw.item(0x7F), raw.login(1, b"b"))),
            "two user identity",
        ),
        ((raw.APPLICATION_CONTEXT, raw.answered(), USER_INFORMATION), "item 21H does not belong"),
        ((raw.APPLICATION_CONTEXT, raw.proposed(), USER_INFORMATION, b"\0\0\0"), "3 bytes left over in the PDU"),
        ((raw.APPLICATION_CONTEXT, raw.proposed(), raw.user_information(LOGIN + b"\0")), "1 bytes left over in the"),
    ],
)
def test_what_a_request_must_have_once(items: tuple[bytes, ...], message: str) -> None:
    assert refused(raw.associate(1, *items), message) == INVALID_PARAMETER.encode()


@pytest.mark.parametrize(
    ("which", "allowed"), [(AssociateRequest, range(0x51, 0x59)), (AssociateAccept, (*range(0x51, 0x58), 0x59))]
)
def test_known_items_that_are_no_sub_items_of_the_user_information(
    which: type[AssociateRequest | AssociateAccept], allowed: Sequence[int]
) -> None:
    make, name = (raw.rq, "A-ASSOCIATE-RQ") if which is AssociateRequest else (raw.ac, "A-ASSOCIATE-AC")
    for kind in KNOWN - set(allowed):
        message = f"item {kind:02X}H does not belong in the user information of an {name}"
        assert refused(make(raw.item(kind, raw.field(b""))), message, which) == INVALID_PARAMETER.encode()


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((raw.answered(), ANSWER), "no application context"),
        ((raw.APPLICATION_CONTEXT, ANSWER), "no presentation context"),
        ((raw.APPLICATION_CONTEXT, raw.answered()), "no user information"),
        ((raw.APPLICATION_CONTEXT, raw.answered(), raw.answered(1, 3), ANSWER), "have the id 1"),
        ((raw.APPLICATION_CONTEXT, raw.proposed(), ANSWER), "item 20H does not belong"),
        ((raw.APPLICATION_CONTEXT, raw.answered(), raw.user_information(raw.item(0x59))), "lacks its length"),
        (
            (raw.APPLICATION_CONTEXT, raw.answered(), raw.user_information(*[raw.item(0x59, raw.field(b""))] * 2)),
            "two server responses",
        ),
    ],
)
def test_what_an_answer_must_have_once(items: tuple[bytes, ...], message: str) -> None:
    assert refused(raw.associate(2, *items), message, AssociateAccept) == INVALID_PARAMETER.encode()


STRANGE = raw.proposed(3, raw.item(0x30, "1.2.840\u200b".encode()), raw.item(0x40, raw.IMPLICIT))
NO_SYNTAX = raw.proposed(5, raw.item(0x30, raw.VERIFICATION), raw.item(0x40, b"x"))


# decision: D34
def test_a_context_that_cannot_be_read_is_refused_alone() -> None:
    request = AssociateRequest.parse(raw.rq(LOGIN, context=STRANGE + raw.proposed() + NO_SYNTAX))
    assert request.encode() == raw.rq(LOGIN)
    assert request.refused == (AnsweredContext(3, 3, raw.IMPLICIT), AnsweredContext(5, 4, raw.IMPLICIT))
    strange, no_syntax = request.left_out
    assert strange == ('presentation context 3: its abstract syntax "1.2.840" and then E2808BH (10 bytes) is not a UID')
    assert no_syntax.startswith("presentation context 5: transfer syntaxes that are not UIDs: 1 of 1, the first is")


# decision: D35
def test_no_context_is_left() -> None:
    assert refused(raw.rq(LOGIN, context=STRANGE + NO_SYNTAX), 'left: presentation context 3: .*"1.2.840"') == (
        NO_CONTEXT.encode()
    )


@pytest.mark.parametrize("both", [STRANGE + STRANGE, STRANGE + raw.proposed(3), raw.proposed(3) + STRANGE])
def test_the_id_of_a_refused_context_is_taken(both: bytes) -> None:
    assert refused(raw.rq(LOGIN, context=raw.proposed() + both), "have the id 3") == INVALID_PARAMETER.encode()


def test_unknown_items_are_ignored_and_do_not_go_on() -> None:
    for kind in sorted(set(range(256)) - KNOWN):
        unknown = raw.item(kind, LOGIN)
        pdu = raw.associate(
            1,
            unknown,
            raw.APPLICATION_CONTEXT,
            raw.proposed(1, unknown, raw.item(0x30, raw.VERIFICATION), raw.item(0x40, raw.IMPLICIT), unknown),
            raw.user_information(unknown),
            unknown,
        )
        assert AssociateRequest.parse(pdu).encode() == raw.rq()
