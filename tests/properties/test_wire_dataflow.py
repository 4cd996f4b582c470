"""Over generated streams of an established association: every legal byte passes, in order, however it is cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomgate.association.pdv_stream import MOST_HELD, PdvStream
from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.pdu import PduReader, PduType
from dicomgate.wire.reject_abort import Abort, Refusal
from tests.properties.strategies import cuts, damaged, examples, p_datas, walked

ACCEPTED = (1, 5, 255)
MAXIMUM_LENGTHS = st.sampled_from([0, 8, 64, 4096, 16384])
SEEDS = Path(__file__).parents[2].parent / "shared" / "corpora" / "dicom-seeds"


class Outcome(NamedTuple):
    forwarded: bytes
    held: bytes
    pdus: int
    release_requested: bool
    released: bool
    aborted: Refusal | None
    refused: tuple[str, Refusal] | None
    boundary: bool


def outcome(pieces: Sequence[bytes], maximum_length: int = 0, *, asked: bool = False) -> Outcome:
    stream, other = PdvStream(ACCEPTED, maximum_length), PdvStream(ACCEPTED, 0)
    other.release_requested = asked
    forwarded, held, error = walked(stream, other, pieces)
    return Outcome(
        forwarded,
        held,
        stream.pdus,
        stream.release_requested,
        stream.released,
        stream.aborted,
        None if error is None else (str(error), error.answer),
        stream.boundary,
    )


@examples(120)
@given(st.data(), MAXIMUM_LENGTHS, st.booleans(), st.sampled_from([b"", raw.RELEASE_RQ, raw.RELEASE_RP, raw.ABORT]))
def test_legal_streams_pass(data: st.DataObject, maximum_length: int, asked: bool, end: bytes) -> None:
    asked = asked or end == raw.RELEASE_RP
    pdus = data.draw(st.lists(p_datas(ACCEPTED, maximum_length), max_size=6))
    stream = b"".join([*pdus, end])
    end_of = {
        b"": (False, False, None),
        raw.RELEASE_RQ: (True, False, None),
        raw.RELEASE_RP: (False, True, None),
        raw.ABORT: (False, False, Abort(2, 6)),
    }[end]
    for pieces in ([stream], data.draw(cuts(stream))):
        passed = outcome(pieces, maximum_length, asked=asked)
        # An abort is encoded anew by the machine: what passes ends before it.
        held = raw.ABORT if end == raw.ABORT else b""
        assert passed[:7] == (stream.removesuffix(held), held, len(pdus) + bool(end), *end_of, None)


@examples(400)
@given(st.data(), MAXIMUM_LENGTHS, st.booleans())
def test_segments_do_not_matter(data: st.DataObject, maximum_length: int, asked: bool) -> None:
    parts = p_datas(ACCEPTED, maximum_length) | st.sampled_from([raw.RELEASE_RQ, raw.RELEASE_RP, raw.rq(), b""])
    parts |= parts.map(lambda part: part * 3)  # PDUs with the same header
    stream = data.draw(damaged(st.lists(parts, min_size=1, max_size=4).map(b"".join).filter(bool)))
    stream += data.draw(st.sampled_from([b"", raw.ABORT, raw.p_data(raw.pdv(1, b"ab"))]))
    whole = outcome([stream], maximum_length, asked=asked)
    pieces = outcome(data.draw(cuts(stream)), maximum_length, asked=asked)
    assert stream.startswith(whole.forwarded)
    # In one piece, the whole of a PDU is known before any of it is forwarded.
    assert whole.boundary or whole.refused is None
    if whole.refused is None:
        assert len(whole.held) <= MOST_HELD or whole.aborted is not None
        assert whole.forwarded + whole.held == stream
        assert pieces[:7] == whole[:7]
        return
    assert pieces[2:7] == whole[2:7]
    assert pieces.forwarded.startswith(whole.forwarded)
    assert stream.startswith(pieces.forwarded)
    assert pieces.boundary is (pieces.forwarded == whole.forwarded)


@examples(300)
@given(st.lists(st.binary(max_size=40), max_size=4), MAXIMUM_LENGTHS)
def test_any_bytes(pieces: list[bytes], maximum_length: int) -> None:
    result = outcome(pieces, maximum_length)
    assert b"".join(pieces).startswith(result.forwarded)


def boundaries(stream: bytes) -> list[int]:
    """Where the whole PDUs of a stream end."""
    ends = [0]
    while ends[-1] + 6 <= len(stream):
        end = ends[-1] + 6 + int.from_bytes(stream[ends[-1] + 2 : ends[-1] + 6])
        if end > len(stream):
            break
        ends.append(end)
    return ends


@pytest.mark.parametrize("name", ["dicom_echo.raw", "dicom_find.raw", "dicom_get.raw", "dicom_store.raw"])
def test_recorded_associations(name: str) -> None:
    if not SEEDS.is_dir():
        pytest.skip(f"no recorded associations in {SEEDS}")
    stream = (SEEDS / name).read_bytes()
    reader = PduReader({PduType.ASSOCIATE_RQ: (68, 131072)})
    reader.feed(stream)
    pdu = reader.next_pdu()
    assert pdu is not None
    request = AssociateRequest.parse(pdu[1])
    assert AssociateRequest.parse(request.encode()) == request

    rest = reader.rest()
    assert pdu[1] + rest == stream
    ends = boundaries(rest)
    assert ends[-1] == len(rest)
    for pieces in ([rest], [rest[at : at + 7] for at in range(0, len(rest), 7)]):
        direction = PdvStream([context.id for context in request.contexts], 16384)
        assert walked(direction, PdvStream((), 0), pieces) == (rest, b"", None)
        assert direction.pdus == len(ends) - 1
        assert direction.release_requested
    # The same bytes on contexts that were not accepted.
    assert "not accepted" in str(walked(PdvStream((), 16384), PdvStream((), 0), [rest]).error)
    for first, last in itertools.pairwise(ends):
        assert outcome([rest[first:last]])[2] <= 1
