"""Over generated DIMSE messages both ways: each passes or is dropped whole, and answers stand between two messages."""

from __future__ import annotations

from random import Random
from struct import unpack_from

from hypothesis import given
from hypothesis import strategies as st

from dicomgate.association.effects import Side
from dicomgate.association.message_stream import MessageStream
from dicomgate.testing import raw
from tests.association.conversation import Conversation, command, message
from tests.properties.strategies import examples

ACCEPTED = (1, 3, 255)


def fragmented(rng: Random, content: bytes, of_command: int, context: int) -> list[bytes]:
    """The PDVs of one command set or data set, some of them empty."""
    at = sorted(2 * rng.randint(0, len(content) // 2) for _ in range(rng.randrange(4)))
    ends = list(zip([0, *at], [*at, len(content)], strict=True))
    control = [of_command] * (len(ends) - 1) + [of_command | 2]
    return [raw.pdv(context, content[a:b], bits) for (a, b), bits in zip(ends, control, strict=True)]


def drawn(rng: Random, number: int) -> bytes:
    """A message in PDVs and PDUs of any size."""
    context, with_data = rng.choice(ACCEPTED), rng.random() < 0.6
    pdvs = fragmented(rng, command(number, data_set=with_data, filler=2 * rng.randrange(20)), 1, context)
    if with_data:
        pdvs += fragmented(rng, rng.randbytes(2 * rng.randrange(200)), 0, context)
    pdus = [[pdvs[0]]]
    for pdv in pdvs[1:]:
        if rng.random() < 0.5:
            pdus.append([])
        pdus[-1].append(pdv)
    return b"".join(raw.p_data(*pdu) for pdu in pdus)


@examples(400)
@given(st.randoms(use_true_random=False))
def test_messages_pass_or_are_dropped_whole_and_answers_stand_between(rng: Random) -> None:
    sent = {side: [drawn(rng, number) for number in range(rng.randrange(6))] for side in Side}
    answers = {
        (side, number): message(1000 + 10 * number + (side is Side.CLIENT), data=None) if rng.random() < 0.7 else b""
        for side in Side
        for number in range(6)
        if rng.random() < 0.5
    }

    def stream(side: Side) -> MessageStream:
        def judge(_: int, command: bytes) -> bytes | None:
            number: int = unpack_from("<H", command, 8)[0]
            return answers.get((side, number))

        return MessageStream(ACCEPTED, 0, judge)

    talk = Conversation(stream(Side.CLIENT), stream(Side.UPSTREAM))
    left = {side: b"".join(messages) for side, messages in sent.items()}
    while any(left.values()):
        side = rng.choice([side for side, rest in left.items() if rest])
        size = rng.choice((1, 5, 13, 100, 10_000))
        assert talk.send(side, left[side][:size]) == []
        left[side] = left[side][size:]
    for side in Side:
        assert talk.held(side) == b""
        passed = [pdus for number, pdus in enumerate(sent[side.other]) if (side.other, number) not in answers]
        due = [answers[side, number] for number in range(len(sent[side])) if answers.get((side, number))]
        received = bytes(talk.received[side])
        while received:
            for queue in (passed, due):
                if queue and received.startswith(queue[0]):
                    received = received.removeprefix(queue.pop(0))
                    break
            else:
                raise AssertionError("something other than a whole message, in its order, or an answer, in its order")
        assert (passed, due) == ([], [])
