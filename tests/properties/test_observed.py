"""Over generated messages, whole and damaged: what is only observed passes as if nobody looked (`rules = "report"`)."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dicomgate.association import effects as do
from dicomgate.association.effects import Side
from dicomgate.association.observed_stream import observed
from dicomgate.association.pdv_stream import PdvStream
from dicomgate.testing import raw
from dicomgate.wire.items import malformed
from tests.association.conversation import CLIENT, UPSTREAM, Conversation
from tests.properties.strategies import examples
from tests.properties.test_messages import MAXIMUM_LENGTHS, of_client, of_pacs
from tests.rights.limited import CONTEXTS

ENDS = ((raw.RELEASE_RQ, raw.RELEASE_RP), (b"", b""), (raw.ABORT, b""))


@examples(400)
@given(st.integers(0, (1 << 64) - 1))
def test_what_is_only_observed_passes_as_if_nobody_looked(seed: int) -> None:
    rng = Random(seed)
    maximum_length = rng.choice(MAXIMUM_LENGTHS)

    def judge(_context: int, _command: bytes) -> bytes | None:
        if rng.random() < 0.1:
            raise rng.choice([malformed("a foreign command"), RuntimeError("a defect")])
        return rng.choice([None, b"", b"an answer"])

    watched = Conversation(*observed(CONTEXTS, (0, maximum_length), judge, lambda _: None))
    plain = Conversation(PdvStream(CONTEXTS, 0), PdvStream(CONTEXTS, maximum_length))
    messages = b"".join(message.pdus for message in of_client(rng, maximum_length)[0])
    ends = rng.choice(ENDS)
    left = {
        CLIENT: bytearray(messages + ends[0]),
        UPSTREAM: bytearray(b"".join(of_pacs(rng, maximum_length)) + ends[1]),
    }
    if rng.random() < 0.6 and (damaged := left[rng.choice(list(Side))]):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    sizes = rng.choice(((1, 5, 13), (1, 100, 10_000), (10_000,)))
    while any(left.values()):
        side = rng.choice([side for side, rest in left.items() if rest])
        size = rng.choice(sizes)
        part, left[side] = bytes(left[side][:size]), left[side][size:]
        effects = plain.send(side, part)
        assert watched.send(side, part) == effects
        assert watched.received == plain.received
        if any(isinstance(effect, do.Close) for effect in effects):
            return
    assert [watched.held(side) for side in Side] == [plain.held(side) for side in Side]
