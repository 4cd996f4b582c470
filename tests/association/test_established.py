"""The established association as conversations: what goes in, what comes out. No sockets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dicomgate.association import effects as do
from dicomgate.association.effects import Side
from dicomgate.association.established import LINGER
from dicomgate.association.pdv_stream import PdvStream
from dicomgate.association.transitions import EstablishedState
from dicomgate.events.events import Cause
from dicomgate.testing import raw
from dicomgate.wire.reject_abort import INVALID_PARAMETER, NOT_SPECIFIED, UNEXPECTED_PDU, Abort
from tests.association.conversation import CLIENT, UPSTREAM, Conversation

DATA = raw.p_data(raw.pdv(1, b"0123456789"))
HALF = DATA[:20]
BAD = raw.p_data(raw.pdv(5, b"on a context that was not accepted"))
GIVEN_UP = NOT_SPECIFIED.encode()
GONE = {CLIENT: Cause.CLIENT_GONE, UPSTREAM: Cause.UPSTREAM_GONE}
ABORTED = {CLIENT: Cause.ABORTED_BY_CLIENT, UPSTREAM: Cause.ABORTED_BY_UPSTREAM}
VIOLATED = {CLIENT: Cause.CLIENT_VIOLATION, UPSTREAM: Cause.UPSTREAM_VIOLATION}
sides = pytest.mark.parametrize("side", Side)


def opened() -> Conversation:
    return Conversation(PdvStream({1, 3}, 1024), PdvStream({1, 3}, 1024))


def releasing(side: Side = CLIENT) -> Conversation:
    talk = opened()
    assert talk.send(side, raw.RELEASE_RQ) == []
    assert talk.machine.state is EstablishedState.RELEASING
    return talk


def released(side: Side = CLIENT) -> Conversation:
    talk = releasing(side)
    assert talk.send(side.other, raw.RELEASE_RP) == [do.Timer(LINGER)]
    assert talk.machine.state is EstablishedState.RELEASED
    return talk


def half_open(side: Side = CLIENT) -> Conversation:
    talk = opened()
    assert talk.machine.ended(side) == [do.HalfClose(side.other)]
    assert talk.machine.state is EstablishedState.HALF_OPEN
    return talk


ENDS = {
    opened: None,
    releasing: None,
    released: (Cause.RELEASED, ""),
    half_open: (Cause.CLIENT_GONE, "without a release"),
}
"""The stages, and the end that is certain there."""
stages = pytest.mark.parametrize("make", ENDS)


def test_p_data_passes_both_ways_and_the_machine_is_not_asked() -> None:
    talk = opened()
    for side in Side:
        assert talk.send(side, DATA * 3 + HALF) == []
        assert talk.streams[side].found is None
        assert talk.received[side.other] == DATA * 3 + HALF
    assert talk.machine.state is EstablishedState.OPEN


@sides
def test_a_release_and_its_answer(side: Side) -> None:
    talk = released(side)
    assert talk.received == {side: raw.RELEASE_RP, side.other: raw.RELEASE_RQ}
    assert talk.machine.ended(side) == [do.Close(Cause.RELEASED, "", at_once=True)]
    assert talk.machine.ended(side.other) == talk.machine.deadline() == []


@sides
def test_data_before_a_release_and_the_beginning_of_what_comes_after_it(side: Side) -> None:
    talk = opened()
    assert talk.send(side, DATA + raw.RELEASE_RQ + raw.ABORT[:3]) == []
    assert talk.received[side.other] == DATA + raw.RELEASE_RQ
    assert talk.held(side) == raw.ABORT[:3]
    abort = do.Abort(side.other, raw.ABORT)
    assert talk.send(side, raw.ABORT[3:]) == [abort, do.Close(ABORTED[side], str(Abort(2, 6)))]


@sides
def test_a_collision_of_releases_lasts_until_both_are_answered(side: Side) -> None:
    talk = releasing(side)
    assert talk.send(side.other, raw.RELEASE_RQ) == []
    assert talk.send(side, raw.RELEASE_RP) == talk.machine.deadline() == []
    assert talk.send(side.other, raw.RELEASE_RP) == [do.Timer(LINGER)]
    assert talk.machine.deadline() == [do.Close(Cause.RELEASED, "", at_once=True)]


@sides
@stages
def test_an_abort_ends_it_and_is_passed_on(make: Callable[[], Conversation], side: Side) -> None:
    talk = make()
    before = bytes(talk.received[side.other])
    cause, detail = ENDS[make] or (ABORTED[side], str(Abort(2, 6)))
    assert talk.send(side, raw.ABORT + DATA) == [do.Abort(side.other, raw.ABORT), do.Close(cause, detail)]
    assert talk.received[side.other] == before
    assert talk.machine.state is EstablishedState.CLOSED


@sides
def test_an_abort_is_passed_on_with_codes_that_the_standard_knows(side: Side) -> None:
    abort, close = opened().send(side, bytes.fromhex("07 ff 00000004 aabb 01 63"))
    assert abort == do.Abort(side.other, NOT_SPECIFIED.encode())
    assert close == do.Close(ABORTED[side], "A-ABORT 1,99 (reserved)"), "the log names what came"


@sides
@pytest.mark.parametrize(("bad", "answer"), [(BAD, INVALID_PARAMETER), (raw.rq(), UNEXPECTED_PDU)])
def test_a_violation_is_an_abort_to_both_and_does_not_pass(side: Side, bad: bytes, answer: Abort) -> None:
    talk = opened()
    effects = talk.send(side, DATA + bad)
    assert talk.received[side.other] == DATA
    assert effects[:2] == [do.Abort(side.other, answer.encode()), do.Abort(side, answer.encode())]
    (close,) = effects[2:]
    assert isinstance(close, do.Close)
    assert (close.cause, bool(close.detail), close.at_once) == (VIOLATED[side], True, False)


def test_a_violation_after_a_release_leaves_it_released() -> None:
    talk = released()
    pdu = UNEXPECTED_PDU.encode()
    close = do.Close(Cause.RELEASED, "")
    assert talk.send(CLIENT, DATA) == [do.Abort(UPSTREAM, pdu), do.Abort(CLIENT, pdu), close]


@sides
def test_whoever_is_in_the_middle_of_a_pdu_has_its_connection_broken(side: Side) -> None:
    talk = opened()
    talk.send(side, raw.p_data(raw.pdv(1, b"1234"), raw.pdv(5, b"5678"))[:17])
    talk.send(side.other, HALF)
    # The receiver is inside the PDU whose second PDV is wrong; the sender is inside one of its own peer's.
    effects = talk.send(side, b"\0" * 12)
    assert effects[:2] == [do.Reset(side.other), do.Reset(side)]


WITHOUT_RP = "the client closed without waiting for the A-RELEASE-RP"


@sides
@stages
def test_a_lost_connection(make: Callable[[], Conversation], side: Side) -> None:
    end = ENDS[make]
    effects = make().machine.lost(side, "Connection reset by peer")
    if (make, side) == (releasing, CLIENT):
        assert effects == [do.Close(Cause.RELEASED, WITHOUT_RP)], "it has asked for it"
    elif end is None:
        assert effects == [do.Abort(side.other, GIVEN_UP), do.Close(GONE[side], "Connection reset by peer")]
    else:
        assert effects == [do.Close(*end, at_once=make is released)]


@sides
def test_a_lost_connection_in_the_middle_of_a_pdu(side: Side) -> None:
    talk = opened()
    talk.send(side, HALF)
    assert talk.machine.lost(side, "broken")[0] == do.Reset(side.other)


@sides
@stages
def test_the_end_of_a_stream(make: Callable[[], Conversation], side: Side) -> None:
    end = ENDS[make]
    effects = make().machine.ended(side)
    if end is None:
        assert effects == [do.HalfClose(side.other)]
    else:
        assert effects == [do.Close(*end, at_once=make is released)]


@sides
def test_the_other_side_of_a_half_open_association_may_finish(side: Side) -> None:
    talk = half_open(side)
    assert talk.send(side.other, DATA * 9) == []
    assert talk.received[side] == DATA * 9
    assert talk.machine.ended(side.other) == [do.Close(GONE[side], "without a release")]


@pytest.mark.parametrize("answered", [True, False])
@sides
def test_a_release_is_one_whichever_side_closes_first(side: Side, answered: bool) -> None:
    """The client asks; then `side` closes, and with `answered` the upstream's answer comes, if it still can."""
    talk = releasing()
    assert talk.machine.ended(side) == [do.HalfClose(side.other)]
    if answered and side is CLIENT:
        assert talk.send(UPSTREAM, raw.RELEASE_RP) == []
    detail = WITHOUT_RP if side is CLIENT else "the upstream closed instead of sending an A-RELEASE-RP"
    assert talk.machine.ended(side.other) == [do.Close(Cause.RELEASED, detail)]


@sides
def test_a_release_that_is_asked_for_after_the_other_side_has_gone_is_none(side: Side) -> None:
    talk = half_open(side.other)
    assert talk.send(side, raw.RELEASE_RQ) == []
    assert talk.machine.ended(side) == [do.Close(GONE[side.other], "without a release")]


@pytest.mark.parametrize("make", [opened, releasing])
def test_silence_is_an_abort_to_both(make: Callable[[], Conversation]) -> None:
    close = do.Close(Cause.IDLE, "nothing was sent for 9 s")
    aborts = [do.Abort(UPSTREAM, GIVEN_UP), do.Abort(CLIENT, GIVEN_UP)]
    assert make().machine.silent("nothing was sent for 9 s") == [*aborts, close]


@stages
def test_the_gateway_ends_it(make: Callable[[], Conversation]) -> None:
    talk = make()
    close = do.Close(*(ENDS[make] or (Cause.DRAINED, "")))
    assert talk.machine.stopped(Cause.DRAINED) == [do.Abort(UPSTREAM, GIVEN_UP), do.Abort(CLIENT, GIVEN_UP), close]
    assert talk.machine.stopped(Cause.DEFECT, "see the log") == talk.machine.lost(CLIENT, "broken") == []


def test_the_gateway_ends_it_in_the_middle_of_pdus() -> None:
    talk = opened()
    talk.send(CLIENT, HALF)
    assert talk.machine.stopped(Cause.DRAINED)[:2] == [do.Reset(UPSTREAM), do.Abort(CLIENT, GIVEN_UP)]
