"""The single steps of limited rights, measured in this process: those of a login, and those of a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from dicomgate.association.message_stream import MessageStream
from dicomgate.association.pdv_stream import PdvStream
from dicomgate.rights.contexts import narrowed
from dicomgate.rights.operations import Operations
from dicomgate.rights.rights import Rights, rights_of
from dicomgate.rights.rule import Rule, Who
from dicomgate.rights.services import SERVICES
from dicomgate.wire.associate import AssociateRequest
from dicomgate.wire.pdu import HEADER
from dicomgate.wire.presentation import ProposedContext

from .messages import BULK_END, CT_IMAGE_STORAGE, IMPLICIT_VR_LITTLE_ENDIAN, STORE_RQ, bulk_block
from .results import Bar, Comparison, Options, Sample, interleave

_RULES, _CONTEXTS, _PDUS = 30, 128, 64
_LENGTH = 16_384
_OTHER = PdvStream([1], 0)

Step = Callable[[], object]


def _nothing() -> None:
    """What a call takes."""


class _Measured(NamedTuple):
    """At most so many microseconds for each of the units of a step, without what would be done all the same."""

    most: float
    step: Step
    without: Step = _nothing
    units: int = 1


def steps(options: Options) -> Comparison:
    """Microseconds of each."""
    message, pdus = STORE_RQ + BULK_END, bulk_block(_LENGTH, _PDUS * (HEADER.size + _LENGTH))
    inspecting, relaying = _inspecting(), _relaying()
    _walk(inspecting, STORE_RQ)
    measured = {
        f"rights of an attempt, {_RULES} rules": _Measured(20, _rights()),
        f"choosing among {_CONTEXTS} contexts": _Measured(30, _choice()),
        "a message, added": _Measured(15, partial(_walk, _inspecting(), message), partial(_walk, relaying, message)),
        "a PDU of 16 KiB, added": _Measured(
            0.3, partial(_walk, inspecting, pdus), partial(_walk, relaying, pdus), _PDUS
        ),
    }
    seconds = 0.02 if options.quick else 0.5
    take = {name: partial(_take, one, seconds) for name, one in measured.items()}
    bars = tuple(Bar(most=one.most, contestant=name) for name, one in measured.items())
    return Comparison("The single steps", "µs", interleave(take, options.rounds), bars=bars)


def _take(measured: _Measured, seconds: float) -> Sample:
    each = _seconds(measured.step, seconds) - _seconds(measured.without, seconds)
    return Sample(each / measured.units * 1e6)


def _seconds(step: Step, seconds: float) -> float:
    """How long it takes once."""
    start, count = time.process_time(), 0
    while (taken := time.process_time() - start) < seconds:
        step()
        count += 1
    return taken / count


def _rights() -> Step:
    """The last rule matches."""
    rules = [Rule(f"{n}", frozenset({CT_IMAGE_STORAGE}), groups=frozenset({f"ward {n}"})) for n in range(_RULES)]
    who = Who("bench", "staff", "alice", frozenset({f"ward {_RULES - 1}"}), {}, "127.0.0.1", "CT1", "PACS", "pacs")
    assert len(rights_of(rules, who).rules) == 1
    return partial(rights_of, rules, who)


def _choice() -> Step:
    """Every other context is withheld."""
    contexts = tuple(
        ProposedContext(2 * n + 1, sop_class, (IMPLICIT_VR_LITTLE_ENDIAN,))
        for n, sop_class in enumerate(sorted(SERVICES["store"].classes)[:_CONTEXTS])
    )
    request = AssociateRequest("PACS", "CT1", contexts)
    rights = Rights(classes=frozenset(context.abstract_syntax for context in contexts[::2]))
    assert len(narrowed(request, rights).request.contexts) == _CONTEXTS // 2
    return partial(narrowed, request, rights)


def _relaying() -> PdvStream:
    return PdvStream([1], 0)


def _inspecting() -> MessageStream:
    rights = Rights(classes=frozenset({CT_IMAGE_STORAGE}))
    return MessageStream([1], 0, Operations(rights, {1: CT_IMAGE_STORAGE}, 0, "CT1", _denied).judge)


def _denied(denial: object) -> None:
    raise AssertionError(denial)


def _walk(stream: PdvStream, data: bytes) -> None:
    """Let it look at all of this."""
    position, end = 0, len(data)
    while position < end:
        position = stream.walk(data, end, _OTHER, position)
        if stream.found is not None:
            raise AssertionError(stream.found)
