"""What Hypothesis draws for the wire: legal values, other spellings of the same PDU, and damaged bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dicomgate.association.pdv_stream import PdvStream
from dicomgate.contract import Identity, IdentityType
from dicomgate.testing import raw
from dicomgate.wire.associate import AssociateAccept, AssociateRequest
from dicomgate.wire.presentation import AnsweredContext, ProposedContext
from dicomgate.wire.reject_abort import PduError
from dicomgate.wire.user_information import CommonExtendedNegotiation, ExtendedNegotiation, Negotiation, RoleSelection

KNOWN = (0x10, 0x20, 0x21, 0x30, 0x40, *range(0x50, 0x5A))
UNKNOWN = tuple(kind for kind in range(256) if kind not in KNOWN)
IDS = range(1, 256, 2)


def examples(count: int) -> settings:
    """The same examples each time, and no opinion on how long one takes. DICOMGATE_EXAMPLES is another count."""
    return settings(
        max_examples=int(os.environ.get("DICOMGATE_EXAMPLES", count)),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


uids = (
    st.lists(st.integers(0, 99999), min_size=1, max_size=10)
    .map(lambda parts: ".".join(map(str, parts)).encode()[:64].rstrip(b"."))
    .filter(bool)
)
_AE_CHARACTERS = [chr(code) for code in range(0x20, 0x7F) if code != 0x5C]
ae_titles = st.text(_AE_CHARACTERS, min_size=1, max_size=16).map(lambda title: title.strip(" ")).filter(bool)
usernames = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).map(str.encode)

_named = st.builds(Identity, st.just(IdentityType.USERNAME), usernames, positive_response_requested=st.booleans())
_with_passcode = st.builds(
    Identity, st.just(IdentityType.USERNAME_AND_PASSCODE), usernames, st.binary(max_size=60), st.booleans()
)
_bearing = st.builds(
    Identity,
    st.sampled_from([IdentityType.KERBEROS, IdentityType.SAML, IdentityType.JWT]),
    st.binary(min_size=1, max_size=200) | st.integers(1, 60000).map(lambda size: b"\x6e" * size),
    positive_response_requested=st.booleans(),
)
identities = _named | _with_passcode | _bearing

_flags = st.integers(0, 1)
_windows = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
_version_names = st.text([chr(code) for code in range(0x20, 0x7F)], min_size=1, max_size=16).map(str.encode)


def _one_per_class(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(values, max_size=4, unique_by=lambda value: value.sop_class).map(tuple)


def _negotiations(common: st.SearchStrategy) -> st.SearchStrategy[Negotiation]:
    return st.builds(
        Negotiation,
        st.none() | st.just(0) | st.integers(4, 0x7FFF_FFFF).map(lambda half: 2 * half),
        st.none() | uids,
        st.none() | _windows,
        _one_per_class(st.builds(RoleSelection, uids, _flags, _flags)),
        st.none() | _version_names,
        _one_per_class(st.builds(ExtendedNegotiation, uids, st.binary(max_size=12))),
        common,
    )


_common = st.builds(CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple))
request_negotiations = _negotiations(_one_per_class(_common))
accept_negotiations = _negotiations(st.just(()))

# A few contexts drawn with care, or up to 128 repeated from a few: both are legal, only the second is long.
_counts = st.integers(1, 4) | st.integers(1, 128)


@st.composite
def _proposed_contexts(draw: st.DrawFn) -> tuple[ProposedContext, ...]:
    pool = draw(st.lists(st.tuples(uids, st.lists(uids, min_size=1, max_size=3).map(tuple)), min_size=1, max_size=3))
    ids = draw(st.randoms(use_true_random=False)).sample(IDS, draw(_counts))
    return tuple(ProposedContext(context, *pool[index % len(pool)]) for index, context in enumerate(ids))


@st.composite
def _answered_contexts(draw: st.DrawFn) -> tuple[AnsweredContext, ...]:
    pool = draw(st.lists(st.tuples(st.integers(0, 4), uids), min_size=1, max_size=4))
    ids = draw(st.randoms(use_true_random=False)).sample(IDS, draw(_counts))
    answers = [(context, *pool[index % len(pool)]) for index, context in enumerate(ids)]
    # The transfer syntax of a context that is not accepted is not significant: parsed, it is empty.
    return tuple(AnsweredContext(context, result, b"" if result else uid) for context, result, uid in answers)


requests = st.builds(
    AssociateRequest, ae_titles, ae_titles, _proposed_contexts(), request_negotiations, st.none() | identities
)
accepts = st.builds(
    AssociateAccept, _answered_contexts(), accept_negotiations, st.none() | st.just(b"") | st.binary(max_size=100)
)


def items_of(data: bytes, start: int = 0) -> list[tuple[int, bytes]]:
    """The items of well-formed bytes, as (type, body)."""
    found = []
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start + 2 : start + 4])
        found.append((data[start], data[start + 4 : end]))
        start = end
    return found


def respell(pdu: bytes, rng: Random) -> bytes:
    """Another spelling of a canonical A-ASSOCIATE-RQ or -AC, which means the same.

    Reserved bytes are not 0, UIDs of odd length are padded, titles stand anywhere in their fields, unknown items
    stand between known ones, and items of different types change places.
    """
    top = []
    for kind, body in items_of(pdu, 74):
        if kind == 0x20:
            body = body[:1] + rng.randbytes(3) + _shuffled(items_of(body, 4), rng)
        elif kind == 0x21:
            body = bytes((body[0], rng.randrange(256), body[2], rng.randrange(256))) + _shuffled(items_of(body, 4), rng)
        elif kind == 0x50:
            body = _shuffled(
                [(kind, _login(body, rng) if kind == 0x58 else body) for kind, body in items_of(body)], rng
            )
        top.append((kind, body))
    version = bytes((rng.randrange(256), rng.randrange(256) | 1))
    titles = b"".join(_moved(title, rng) for title in (pdu[10:26], pdu[26:42]))
    fixed = version + rng.randbytes(2) + titles + rng.randbytes(32)
    body = fixed + _shuffled(top, rng)
    return bytes((pdu[0], rng.randrange(256))) + len(body).to_bytes(4) + body


def _login(body: bytes, rng: Random) -> bytes:
    return bytes((body[0], body[1] and rng.randint(1, 255))) + body[2:]


def _moved(title: bytes, rng: Random) -> bytes:
    title = title.strip()
    return title.rjust(rng.randint(len(title), 16)).ljust(16)


def _shuffled(items: Sequence[tuple[int, bytes]], rng: Random) -> bytes:
    kinds = [kind for kind, _ in items]
    rng.shuffle(kinds)
    bodies = {kind: iter([body for other, body in items if other == kind]) for kind in kinds}
    total = sum(len(body) + 4 for _, body in items)
    parts = []
    for kind in kinds:
        body = next(bodies[kind])
        if kind in (0x10, 0x30, 0x40, 0x52) and len(body) % 2 and rng.random() < 0.5:
            body += b"\0"
        parts.append(raw.item(kind, body, reserved=rng.randrange(256)))
        if total < 60_000 and rng.random() < 0.3:
            parts.insert(0, raw.item(rng.choice(UNKNOWN), rng.randbytes(rng.randrange(6)), reserved=rng.randrange(256)))
            parts.append(raw.item(rng.choice(UNKNOWN), raw.login(1, b"admin"), reserved=rng.randrange(256)))
    return b"".join(parts)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes], first: int = 0) -> bytes:
    """Bytes drawn from `whole`, damaged in one to four places behind the `first` bytes."""
    data = bytearray(draw(whole))
    rng = draw(st.randoms(use_true_random=False))
    for _ in range(rng.randint(1, 4)):
        if len(data) <= first + 2:
            break
        at = rng.randrange(first, len(data))
        match rng.randrange(7):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + rng.randint(1, 8)]
            case 3:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case 4:
                data[at : at + 2] = rng.choice((b"\0\0", b"\0\1", b"\0\2", b"\0\x40", b"\xff\xff"))
            case 5:  # a length, or what would be one, off by a little
                data[at] = (data[at] + rng.choice((-2, -1, 1, 2))) % 256
            case 6:
                data[at:at] = data[rng.randrange(first, at + 1) : at][:300]
    return bytes(data)


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The bytes in pieces."""
    if len(data) < 2:
        return [data]
    rng = draw(st.randoms(use_true_random=False))
    if len(data) <= 400 and rng.random() < 0.2:
        return [data[at : at + 1] for at in range(len(data))]
    at = sorted(rng.sample(range(1, len(data)), min(rng.randint(0, 12), len(data) - 1)))
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


@st.composite
def p_datas(draw: st.DrawFn, accepted: Sequence[int], maximum_length: int) -> bytes:
    """A legal P-DATA-TF: one to four PDVs of even length, within the maximum length."""
    rng = draw(st.randoms(use_true_random=False))
    room = maximum_length or rng.choice((64, 4096, 70_000))
    values = []
    for _ in range(rng.randint(1, 4)):
        if room < 6:
            break
        size = rng.choice((0, min(room - 6, 2), rng.randint(0, room - 6), min(room - 6, 40))) & ~1
        values.append(raw.pdv(rng.choice(accepted), rng.randbytes(size), rng.randrange(4)))
        room -= 6 + size
    return raw.p_data(*values)


class Walked(NamedTuple):
    """What came of a stream: what was forwarded, what is held, and the violation that ended it."""

    forwarded: bytes
    held: bytes
    error: PduError | None = None


def walked(stream: PdvStream, other: PdvStream, pieces: Sequence[bytes]) -> Walked:
    """Walk the pieces as the relay does."""
    forwarded, held = bytearray(), b""
    for piece in pieces:
        buffer = held + piece
        passed = stream.walk(buffer, len(buffer), other)
        forwarded += buffer[:passed]
        held = buffer[passed:]
        if isinstance(stream.found, PduError):
            return Walked(bytes(forwarded), b"", stream.found)
    return Walked(bytes(forwarded), held)
