"""A-ASSOCIATE-RQ to a value and back: dicomgate's strict parser and encoder compared with pynetdicom's."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pynetdicom.pdu import A_ASSOCIATE_RQ

from dicomgate.contract import Identity, IdentityType
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.presentation import ProposedContext
from dicomgate.wire.user_information import Negotiation

from .results import GATE, Bar, Comparison, Options, Sample, interleave

_PYNETDICOM = "pynetdicom"
_SYNTAXES = (b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2")
_TWENTIETH = (Bar(against=_PYNETDICOM, most=0.05),)


def run(options: Options, folder: Path) -> list[Comparison]:
    """Requests with 1, 30 and 128 presentation contexts."""
    del folder
    seconds = 0.02 if options.quick else 0.5
    comparisons = []
    for count in (1, 30, 128):
        pdu = _request(count)
        codecs = {GATE: _dicomgate, _PYNETDICOM: _pynetdicom}
        take = {name: partial(_take, codec, pdu, seconds) for name, codec in codecs.items()}
        title = f"{count} presentation context{'s' if count > 1 else ''}, {len(pdu):,} bytes"
        rounds = interleave(take, options.rounds)
        comparisons.append(Comparison(title, "µs", rounds, (_PYNETDICOM,), bars=_TWENTIETH))
    return comparisons


def _request(count: int) -> bytes:
    contexts = tuple(
        ProposedContext(2 * number + 1, b"1.2.840.10008.5.1.4.1.1.%d" % (number + 1), _SYNTAXES)
        for number in range(count)
    )
    identity = Identity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"correct horse battery")
    negotiation = Negotiation(16384, b"1.2.826.0.1.3680043", implementation_version_name=b"BENCH")
    return AssociateRequest("PACS", "BENCH", contexts, negotiation, identity).encode()


def _dicomgate(pdu: bytes) -> bytes:
    return AssociateRequest.parse(pdu).encode()


def _pynetdicom(pdu: bytes) -> bytes:
    received, sent = A_ASSOCIATE_RQ(), A_ASSOCIATE_RQ()
    received.decode(pdu)
    sent.from_primitive(received.to_primitive())
    encoded: bytes = sent.encode()
    return encoded


def _take(codec: Callable[[bytes], bytes], pdu: bytes, seconds: float) -> Sample:
    assert AssociateRequest.parse(codec(pdu)) == AssociateRequest.parse(pdu)
    start, count = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        codec(pdu)
        count += 1
    return Sample(taken / count * 1e6)
