"""A C-ECHO as a conversation: what is sent, what the answers mean, and that nothing but PduError is raised."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from dicomgate.scu.dimse import command_pdu
from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.echo import CONTEXT, EchoTalk
from dicomgate.wire.reject_abort import Abort, AssociateReject, PduError


def pydicoms(field: int, **elements: object) -> bytes:
    """A command set without data set as pydicom writes it."""
    command = Dataset()
    command.AffectedSOPClassUID, command.CommandField, command.CommandDataSetType = "1.2.840.10008.1.1", field, 0x0101
    for name, value in elements.items():
        setattr(command, name, value)
    return command_pdu(CONTEXT, command)


REQUEST = pydicoms(0x0030, MessageID=1)
RESPONSE = pydicoms(0x8030, MessageIDBeingRespondedTo=1, Status=0)
REFUSED_CONTEXT = raw.ac(context=raw.answered(1, 3))


def test_from_the_request_to_the_release_in_any_pieces() -> None:
    for size in (1, 7, 10_000):
        talk, sent = EchoTalk("GATE", "PACS"), []
        request = AssociateRequest.parse(talk.request)
        assert (request.calling_ae_title, request.called_ae_title, request.identity) == ("GATE", "PACS", None)
        for answer in (raw.ac(), RESPONSE, raw.RELEASE_RP):
            assert not talk.done
            sent.append(b"".join(talk.take(answer[at : at + size]) for at in range(0, len(answer), size)))
        assert sent == [REQUEST, raw.RELEASE_RQ, b""]
        assert (talk.done, talk.problem, talk.remark) == (True, "", "")


@pytest.mark.parametrize(
    ("answer", "problem", "remark"),
    [
        (AssociateReject(1, 1, 3), "", "A-ASSOCIATE-RJ 1,1,3"),
        (AssociateReject(1, 1, 7), "", "A-ASSOCIATE-RJ 1,1,7"),
        (AssociateReject(2, 3, 1), "A-ASSOCIATE-RJ 2,3,1", ""),
        (Abort(2, 0), "A-ABORT 2,0", ""),
    ],
)
def test_what_does_not_know_the_gateway_is_there_all_the_same(
    answer: AssociateReject | Abort, problem: str, remark: str
) -> None:
    talk = EchoTalk("GATE", "PACS")
    assert talk.take(answer.encode()) == b""
    assert talk.done
    assert (talk.problem[: len(problem) or 1], talk.remark[: len(remark) or 1]) == (problem, remark)


def test_a_pacs_without_verification_is_there_too() -> None:
    talk = EchoTalk("GATE", "PACS")
    assert talk.take(REFUSED_CONTEXT) == raw.RELEASE_RQ
    talk.take(raw.RELEASE_RP)
    assert (talk.done, talk.problem) == (True, "")
    assert "Verification" in talk.remark


@pytest.mark.parametrize(
    ("status", "problem", "remark"),
    [
        (0, "", ""),
        (0x0110, "its C-ECHO-RSP has the status 0110H", ""),
        (0x0211, "", "it offers no C-ECHO (status 0211H)"),
    ],
)
def test_the_status_of_the_response_is_looked_at(status: int, problem: str, remark: str) -> None:
    talk = EchoTalk("GATE", "PACS")
    talk.take(raw.ac())
    assert talk.take(pydicoms(0x8030, MessageIDBeingRespondedTo=1, Status=status)) == raw.RELEASE_RQ
    talk.take(raw.RELEASE_RP)
    assert (talk.done, talk.problem, talk.remark) == (True, problem, remark)


@pytest.mark.parametrize(
    "answer",
    [
        pydicoms(0x8020, MessageIDBeingRespondedTo=1, Status=0),
        REQUEST,
        raw.p_data(raw.pdv(3, b"\0\0", 3)),
        raw.p_data(raw.pdv(1, b"\0\0", 2)),
        raw.p_data(*[raw.pdv(1, b"", 1)] * 65),
    ],
    ids=["C-FIND-RSP", "C-ECHO-RQ", "another context", "a data set", "fragments without end"],
)
def test_what_is_no_response_is_none(answer: bytes) -> None:
    talk = EchoTalk("GATE", "PACS")
    talk.take(raw.ac())
    with pytest.raises(PduError):
        talk.take(answer)


@given(st.sampled_from([b"", raw.ac()]), st.sampled_from([raw.ac(), RESPONSE]), st.data())
def test_whatever_comes_nothing_else_is_raised(before: bytes, answer: bytes, data: st.DataObject) -> None:
    talk = EchoTalk("GATE", "PACS")
    changed = bytearray(answer)
    for at in data.draw(st.lists(st.integers(0, len(answer) - 1), min_size=1, max_size=4)):
        changed[at] = data.draw(st.integers(0, 255))
    with suppress(PduError):
        talk.take(before + bytes(changed))
