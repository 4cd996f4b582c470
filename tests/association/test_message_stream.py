"""An association whose messages are judged: what is dropped, what is answered, and where. No sockets."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack, unpack_from

import pytest

from dicomgate.association import effects as do
from dicomgate.association.message_stream import MessageStream
from dicomgate.association.pdv_stream import MOST_HEADERS, MOST_HELD
from dicomgate.events.events import Cause
from dicomgate.testing import raw
from dicomgate.wire.dimse import LONGEST_COMMAND
from dicomgate.wire.reject_abort import INVALID_PARAMETER, UNEXPECTED_PDU, Abort
from tests.association.conversation import CLIENT, UPSTREAM, Conversation, command, message

ANSWER = message(99, data=None)


class Judged(Conversation):
    """Two peers whose messages are dropped, and answered, by their message id."""

    def __init__(self, drops: Mapping[int, bytes] | None = None, maximum_length: int = 0) -> None:
        self.judged: list[tuple[int, bytes]] = []
        self._drops = drops or {}
        accepted = {1, 3, 5}
        super().__init__(
            MessageStream(accepted, maximum_length, self._judge),
            MessageStream(accepted, maximum_length),
        )

    def _judge(self, context: int, command: bytes) -> bytes | None:
        self.judged.append((context, command))
        number: int = unpack_from("<H", command, 8)[0]
        return self._drops.get(number)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 12, 10_000])
def test_what_passes_is_byte_for_byte_what_came(size: int) -> None:
    talk = Judged()
    stream = message(1) + message(2, 3, None) + message(3, 5, bytes(300)) + raw.RELEASE_RQ
    for piece in pieces(stream, size):
        assert talk.send(CLIENT, piece) == []
    assert talk.received[UPSTREAM] == stream
    assert [context for context, _ in talk.judged] == [1, 3, 5]
    assert talk.judged[1][1] == command(2, data_set=False)
    assert talk.streams[CLIENT].pdus == 6


@pytest.mark.parametrize("size", [1, 7, 12, 10_000])
def test_a_whole_message_is_dropped_and_its_neighbours_are_not(size: int) -> None:
    talk = Judged({2: b"", 3: b""})
    dropped = message(2, data=bytes(100)), message(3, data=None)
    for piece in pieces(message(1) + dropped[0] + dropped[1] + message(4), size):
        assert talk.send(CLIENT, piece) == []
    assert talk.received == {UPSTREAM: message(1) + message(4), CLIENT: b""}
    assert len(talk.judged) == 4


def test_nothing_of_a_message_passes_before_its_command_is_complete() -> None:
    talk = Judged()
    whole = raw.pdv(1, command(1, data_set=False), 3)
    first, second = raw.pdv(1, whole[6:16], 1), raw.pdv(1, whole[16:], 3)
    for part in (raw.p_data(first), raw.p_data(second)[:-1]):
        talk.send(CLIENT, part)
        assert not talk.received[UPSTREAM]
    assert not talk.judged
    talk.send(CLIENT, second[-1:])
    assert talk.received[UPSTREAM] == raw.p_data(first) + raw.p_data(second)
    assert len(talk.judged) == 1


def test_command_and_data_set_may_share_a_pdu_and_the_pdu_may_still_be_coming() -> None:
    pdu = raw.p_data(raw.pdv(1, command(1, data_set=True), 3), raw.pdv(1, bytes(1000), 2))
    for drops, expected in (({}, pdu), ({1: b""}, b"")):
        talk = Judged(drops)
        talk.send(CLIENT, pdu[:100])
        assert talk.received[UPSTREAM] == expected[:100], "it is known what becomes of it"
        talk.send(CLIENT, pdu[100:])
        assert talk.received[UPSTREAM] == expected


@pytest.mark.parametrize("size", [1, 10_000])
def test_the_answer_goes_out_after_the_last_fragment_of_its_request(size: int) -> None:
    talk = Judged({1: ANSWER})
    *most, last = pieces(message(1, data=bytes(50)), size)
    for piece in most:
        talk.send(CLIENT, piece)
        assert not talk.received[CLIENT]
    talk.send(CLIENT, last)
    assert talk.received == {CLIENT: ANSWER, UPSTREAM: b""}


@pytest.mark.parametrize("cut", range(1, len(message(7, data=bytes(40)))))
def test_an_answer_waits_for_the_end_of_the_other_sides_message(cut: int) -> None:
    theirs = message(7, data=bytes(40))
    talk = Judged({1: ANSWER, 2: ANSWER})
    talk.send(UPSTREAM, theirs[:cut])
    begun = bool(talk.received[CLIENT])
    talk.send(CLIENT, message(1) + message(2, data=None) + message(3))
    assert talk.received[UPSTREAM] == message(3)
    talk.send(UPSTREAM, theirs[cut:] + message(8))
    assert talk.received[CLIENT] == (theirs + ANSWER * 2 if begun else ANSWER * 2 + theirs) + message(8)


def test_no_answer_follows_the_release_that_would_bear_it() -> None:
    talk = Judged({1: ANSWER})
    talk.send(UPSTREAM, message(7) + raw.RELEASE_RQ)
    talk.send(CLIENT, message(1) + message(2) + raw.RELEASE_RP)
    assert talk.received == {UPSTREAM: message(2) + raw.RELEASE_RP, CLIENT: message(7) + raw.RELEASE_RQ}


def test_a_message_that_is_dropped_in_small_fragments_takes_several_turns() -> None:
    talk = Judged({1: b"", 2: b""})
    stream, other = talk.streams[CLIENT], talk.streams[UPSTREAM]
    flood = raw.p_data(*[raw.pdv(1, b"ab", 0)] * 5000) + raw.p_data(raw.pdv(1, b"", 2))
    held, turns = message(1) + message(2)[: -len(raw.p_data(raw.pdv(1, b"data", 2)))] + flood, 0
    while held:
        turns += 1
        assert stream.walk(held, len(held), other) == 0
        effects = talk.machine.found(CLIENT, held, 0, len(held))
        held = b"".join(held[it.start : it.end] for it in effects if isinstance(it, do.Keep))
    assert turns >= 5000 // MOST_HEADERS


def test_a_later_message_of_the_other_side_waits_for_nothing() -> None:
    talk = Judged({1: ANSWER})
    talk.send(UPSTREAM, message(7)[:-1])
    talk.send(CLIENT, message(1))
    talk.send(UPSTREAM, message(7)[-1:] + message(8)[:-1])
    assert talk.received[CLIENT] == message(7) + ANSWER + message(8)[:-1]


NOT_OF_IT = "that is not of the message under way"
BROKEN = {
    "a data set without a command set": (raw.p_data(raw.pdv(1, b"data", 2)), "where a command set must begin"),
    "a command set on another context": (raw.p_data(raw.pdv(1, b"ab", 1), raw.pdv(3, b"cd", 3)), NOT_OF_IT),
    "a data set inside a command set": (raw.p_data(raw.pdv(1, b"ab", 1), raw.pdv(1, b"cd", 2)), NOT_OF_IT),
    "a command set inside a data set": (message(1)[:-16] + raw.p_data(raw.pdv(1, b"da", 0)) + message(2), NOT_OF_IT),
    "a data set on another context": (message(1)[:-16] + raw.p_data(raw.pdv(3, b"data", 2)), NOT_OF_IT),
    "two messages in a PDU": (
        raw.p_data(*[raw.pdv(1, command(number, data_set=False), 3) for number in (1, 2)]),
        "fragments of two messages",
    ),
    "a command set that does not say": (
        raw.p_data(raw.pdv(1, pack("<HHLH", 0, 0x0110, 2, 1), 3)),
        "without a Command Data Set Type",
    ),
    "a data set type that is cut off": (
        raw.p_data(raw.pdv(1, pack("<HHLHHHL", 0, 0x0110, 2, 1, 0, 0x0800, 2), 3)),
        "without a Command Data Set Type",
    ),
    "a data set type of four bytes": (
        raw.p_data(raw.pdv(1, pack("<HHLL", 0, 0x0800, 4, 1), 3)),
        "without a Command Data Set Type",
    ),
    "an endless command set": (raw.p_data(raw.pdv(1, bytes(1000), 1)) * 70, "more than 65536 bytes"),
    "an endless command set of nothing": (raw.p_data(raw.pdv(1, b"", 1)) * 6000, "more than 65536 bytes"),
    "a data set after the data set": (
        message(1) + raw.p_data(raw.pdv(1, b"data", 2)) * 2,
        "where a command set must begin",
    ),
    "an odd fragment of a data set": (message(1)[:-16] + raw.p_data(raw.pdv(1, b"abc", 0)), "of 5 bytes"),
    "a fragment of a data set without its header": (
        message(1)[:-16] + raw.pdu(4, bytes(4)) + bytes((1, 0)),
        "P-DATA-TF of 4 bytes",
    ),
    "an odd PDV": (raw.p_data(raw.pdv(1, b"abc", 1)), "of 5 bytes"),
    "a context that was not accepted": (raw.p_data(raw.pdv(7, b"ab", 1)), "was not accepted"),
}


@pytest.mark.parametrize("size", [5, 1_000_000])
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_sequence_of_messages_is_a_violation(name: str, size: int) -> None:
    bad, why = BROKEN[name]
    talk = Judged()
    talk.send(CLIENT, message(9))
    first, second, close = next(effects for piece in pieces(bad, size) if (effects := talk.send(CLIENT, piece)))
    assert first in (do.Abort(UPSTREAM, INVALID_PARAMETER.encode()), do.Reset(UPSTREAM))
    assert second == do.Abort(CLIENT, INVALID_PARAMETER.encode())
    assert isinstance(close, do.Close)
    assert close.cause is Cause.CLIENT_VIOLATION
    assert why in close.detail
    assert (message(9) + bad).startswith(talk.received[UPSTREAM])
    assert len(talk.received[UPSTREAM]) < len(message(9) + bad)


def test_a_data_set_keeps_to_the_maximum_length() -> None:
    talk = Judged(maximum_length=200)
    fits = message(1)[:-16] + raw.p_data(raw.pdv(1, bytes(194), 0))
    assert talk.send(CLIENT, fits) == []
    assert talk.send(CLIENT, raw.p_data(raw.pdv(1, bytes(196), 0)))[0] == do.Abort(UPSTREAM, INVALID_PARAMETER.encode())
    assert talk.received[UPSTREAM] == fits


@pytest.mark.parametrize("size", [5, 1_000_000])
def test_the_longest_command_set(size: int) -> None:
    fits = LONGEST_COMMAND - len(message(1, data=None))
    talk = Judged()
    for piece in pieces(message(1, data=None, filler=fits), size):
        assert talk.send(CLIENT, piece) == []
    assert len(talk.received[UPSTREAM]) == LONGEST_COMMAND
    longer = message(1, data=None, filler=fits + 2)
    assert [effects for piece in pieces(longer, size) if (effects := talk.send(CLIENT, piece))]


def test_a_release_inside_a_message() -> None:
    for inside in (message(1)[:-16], raw.p_data(raw.pdv(1, b"ab", 1))):
        for release in (raw.RELEASE_RQ, raw.RELEASE_RP):
            effects = Judged().send(CLIENT, inside + release)
            assert effects[0] == do.Abort(UPSTREAM, UNEXPECTED_PDU.encode())
    talk = Judged()
    talk.send(CLIENT, message(1) + raw.RELEASE_RQ)
    assert talk.send(UPSTREAM, message(2) + raw.RELEASE_RP)
    assert talk.received == {UPSTREAM: message(1) + raw.RELEASE_RQ, CLIENT: message(2) + raw.RELEASE_RP}
    assert talk.send(CLIENT, message(3))[0] == do.Abort(UPSTREAM, UNEXPECTED_PDU.encode())


@pytest.mark.parametrize(
    ("before", "withheld"),
    [
        (b"", False),
        (message(1), False),
        (message(1)[:-16], False),
        (raw.p_data(raw.pdv(1, b"ab", 1)), True),
        (message(2)[:-16], True),
        (message(2), True),
    ],
    ids=[
        "at once",
        "after a message",
        "inside one",
        "inside a command set",
        "inside a dropped one",
        "after a dropped one",
    ],
)
def test_an_abort_reaches_the_other_side_but_not_what_was_withheld(before: bytes, withheld: bool) -> None:
    talk = Judged({2: b""})
    effects = talk.send(CLIENT, before) + talk.send(CLIENT, raw.ABORT + message(3))
    assert effects == [do.Abort(UPSTREAM, raw.ABORT), do.Close(Cause.ABORTED_BY_CLIENT, str(Abort(2, 6)))]
    assert talk.received[UPSTREAM] == (b"" if withheld else before)
    assert talk.streams[CLIENT].walk(message(4), len(message(4)), talk.streams[UPSTREAM]) == 0


def test_a_violation_inside_what_is_withheld_leaves_the_receiver_between_two_pdus() -> None:
    bad = raw.p_data(raw.pdv(1, b"ab", 0), raw.pdv(7, b"cd"))
    for drops, first in (({}, do.Reset(UPSTREAM)), ({1: b""}, do.Abort(UPSTREAM, INVALID_PARAMETER.encode()))):
        talk = Judged(drops)
        talk.send(CLIENT, message(1)[:-16] + bad[:14])
        assert talk.send(CLIENT, bad[14:])[0] == first


def test_the_gateway_aborts_between_pdus_where_a_message_is_withheld() -> None:
    for drops, first in (({}, do.Reset(UPSTREAM)), ({1: b""}, do.Abort(UPSTREAM, Abort(2, 0).encode()))):
        talk = Judged(drops)
        talk.send(CLIENT, message(1)[:-2])
        assert talk.machine.stopped(Cause.DRAINED)[0] == first


def test_headers_are_held_as_in_a_plain_stream() -> None:
    for size in range(1, MOST_HELD + 1):
        talk = Judged()
        talk.send(CLIENT, message(1)[:size])
        assert talk.held(CLIENT) == message(1)[:size]
    talk = Judged(maximum_length=64)
    assert talk.send(CLIENT, raw.p_data(length=65)[:6])[0] == do.Abort(UPSTREAM, INVALID_PARAMETER.encode())
    assert talk.send(CLIENT, b"\x2a") == []
