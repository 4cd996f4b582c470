"""Over generated DIMSE messages both ways: each passes or is dropped whole, and answers stand between two messages."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from dicomgate.association.effects import Side
from dicomgate.testing import raw
from tests.association.conversation import CLIENT, UPSTREAM
from tests.properties.strategies import examples
from tests.rights.limited import VIEWER, Limited
from tests.wire import commands as c
from tests.wire.commands import command_set, us

MAXIMUM_LENGTHS = (0, 8, 10, 30, 100, 16384)
IDS = range(5)  # few: an operation is under way, cancelled, and its Message ID used again
ASKED = (
    (1, c.ECHO, c.VERIFICATION, b"", "echo"),
    (5, c.FIND, c.FIND_STUDIES, b"", "find"),
    (9, c.GET, c.GET_STUDIES, b"", "get"),
    (7, c.MOVE, c.MOVE_STUDIES, b"WS_1", "move WS_1"),
    (7, c.MOVE, c.MOVE_STUDIES, b"ARCHIVE2", "move ARCHIVE2"),
    (3, c.STORE, c.CT, b"", "store"),
)
REFUSED = {"store", "move ARCHIVE2"}
SAID_BACK = (
    (1, c.ECHO | c.RSP, b""),
    (3, c.STORE, c.CT),
    (5, c.FIND | c.RSP, c.FIND_STUDIES),
    (7, c.MOVE | c.RSP, c.MOVE_STUDIES),
)


class Message(NamedTuple):
    """A message as it is sent, whether it passes, and the answer of the gateway's own."""

    pdus: bytes
    passes: bool = True
    answer: bytes = b""


def pdvs(rng: Random, content: bytes, of_command: int, context: int, longest: int) -> list[bytes]:
    """The fragments of a command set or a data set, some of them empty, none longer than this."""
    ends = [0]
    while ends[-1] < len(content):
        size = rng.choice((0, 2, longest, rng.randint(0, longest), len(content)))
        ends.append(min(ends[-1] + (min(size, longest) & ~1), len(content)))
        if len(content) - ends[-1] == 1 and ends[-1] - ends[-2] < longest:
            ends[-1] += 1  # PS3.8 annex E: only the last fragment may be odd, where the data set is
    if len(ends) == 1 or (rng.random() < 0.1 and not len(content) & 1):
        ends.append(len(content))
    found = [(context, content[start:end]) for start, end in pairwise(ends)]
    return [raw.pdv(*pdv, of_command | 2 * (pdv is found[-1])) for pdv in found]


def in_pdus(rng: Random, command: bytes, data: bytes | None, context: int, maximum_length: int) -> bytes:
    """A message in P-DATA-TF PDUs of any sizes within the maximum length."""
    longest = (maximum_length or rng.choice((8, 200, 20_000))) - 6
    left = pdvs(rng, command, 1, context, longest) + (pdvs(rng, data, 0, context, longest) if data is not None else [])
    pdus = [b""]
    for pdv in left:
        if pdus[-1] and (len(pdus[-1]) + len(pdv) > (maximum_length or 30_000) or rng.random() < 0.5):
            pdus.append(b"")
        pdus[-1] += pdv
    return b"".join(map(raw.p_data, pdus))


def drawn(rng: Random, command: bytes, context: int, maximum_length: int) -> bytes:
    """A message with this command set, spelt in one of the ways that it has, and any data set."""
    command = command if rng.random() < 0.8 else command[12:]
    has_data_set = c.element(0x0800, us(0x0101)) not in command
    data = rng.randbytes(rng.choice((0, 1, 4, rng.randrange(300), 3000))) if has_data_set else None
    return in_pdus(rng, command, data, context, maximum_length)


def of_client(rng: Random, maximum_length: int) -> tuple[list[Message], Counter[str]]:
    """What the client sends, and how often it asks for what."""
    found: list[Message] = []
    asked: Counter[str] = Counter()
    swallowed: set[int] = set()
    for _ in range(rng.randrange(7)):
        number, kind = rng.choice(IDS), rng.random()
        if kind < 0.15:
            context = rng.choice((5, 7, 9))
            pdus = drawn(rng, command_set(c.CANCEL, message_id=number), context, 0)
            found.append(Message(pdus, number not in swallowed))
        elif kind < 0.25:
            found.append(Message(drawn(rng, command_set(c.STORE | c.RSP, c.CT, number), 3, 0)))
        else:
            context, field, sop_class, destination, what = rng.choice(ASKED)
            more = {0x0700: us(2), 0x1040: bytes(2 * rng.randrange(50))} if rng.random() < 0.5 else {}
            pdus = drawn(rng, command_set(field, sop_class, number, destination, more), context, 0)
            asked[what] += 1
            answer = b""
            if what in REFUSED:
                answer = refusal(context, field, sop_class, number, maximum_length)
            (swallowed.add if answer else swallowed.discard)(number)
            found.append(Message(pdus, not answer, answer))
    return found, asked


def refusal(context: int, field: int, sop_class: bytes, number: int, maximum_length: int) -> bytes:
    """The response "Refused: Not authorized" (PS3.7 9.3.1.2, 9.3.4.2), in fragments as long as they may be."""
    response = command_set(field | c.RSP, sop_class, number, change={0x0900: us(0x0124)})
    size = maximum_length - 6 if maximum_length else len(response)
    parts = [response[at : at + size] for at in range(0, len(response), size)]
    return b"".join(raw.p_data(raw.pdv(context, part, 3 if part is parts[-1] else 1)) for part in parts)


def of_pacs(rng: Random, maximum_length: int) -> list[bytes]:
    """What the PACS sends: responses in any order, and the C-STORE-RQs of a C-GET."""
    found = []
    for _ in range(rng.randrange(7)):
        context, field, sop_class = rng.choice(SAID_BACK)
        with_data = field == c.STORE or (field != c.ECHO | c.RSP and rng.random() < 0.5)
        change = {0x0800: us(1 if with_data else 0x0101)}
        found.append(drawn(rng, command_set(field, sop_class, rng.choice(IDS), change=change), context, maximum_length))
    return found


class Client:
    """What the client has got so far: messages of the PACS in their order, and answers that are due in theirs."""

    def __init__(self, talk: Limited, theirs: list[bytes]) -> None:
        self.due: list[bytes] = []
        self.theirs = theirs
        self._talk = talk
        self._at = 0

    def look(self) -> None:
        """Look at what has come."""
        received = self._talk.received[CLIENT]
        while self._at < len(received):
            queue = next(
                (queue for queue in (self.due, self.theirs) if queue and received.startswith(queue[0], self._at)), None
            )
            if queue is None:
                break
            self._at += len(queue.pop(0))
        under_way = received[self._at :]
        if under_way:
            assert self.theirs, "an answer before the last fragment of its request"
            assert self.theirs[0].startswith(under_way), "an answer in the middle of a message of the PACS"
        else:
            assert not self.due, "an answer that waits for nothing"


@examples(400)
@given(st.integers(0, (1 << 64) - 1))
def test_messages_pass_or_are_dropped_whole_and_answers_stand_between(seed: int) -> None:
    rng = Random(seed)
    maximum_length = rng.choice(MAXIMUM_LENGTHS)
    talk = Limited(VIEWER, maximum_length)
    messages, asked = of_client(rng, maximum_length)
    client = Client(talk, of_pacs(rng, maximum_length))
    passing = b"".join(message.pdus for message in messages if message.passes) + raw.RELEASE_RQ
    left = {CLIENT: b"".join(message.pdus for message in messages), UPSTREAM: b"".join(client.theirs)}
    ends = [0]
    for message in messages:
        ends.append(ends[-1] + len(message.pdus))
    sizes = rng.choice(((1, 5, 13), (1, 100, 10_000), (10_000,)))
    sent = 0
    while any(left.values()):
        side: Side = rng.choice([side for side, rest in left.items() if rest])
        size = rng.choice(sizes)
        part, left[side] = left[side][:size], left[side][size:]
        assert talk.send(side, part) == []
        if side is CLIENT:
            before, sent = sent, sent + len(part)
            whole = [message for message, end in zip(messages, ends[1:], strict=True) if before < end <= sent]
            client.due += [message.answer for message in whole if message.answer]
        client.look()
        assert passing.startswith(talk.received[UPSTREAM])
    assert talk.send(CLIENT, raw.RELEASE_RQ) == []
    assert talk.received[UPSTREAM] == passing
    assert talk.send(UPSTREAM, raw.RELEASE_RP)
    assert (client.due, client.theirs) == ([], [])
    assert talk.held(CLIENT) == talk.held(UPSTREAM) == b""
    counted = talk.operations.used | talk.operations.denied
    assert counted == asked
    assert set(talk.operations.denied) == asked.keys() & REFUSED
