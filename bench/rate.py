"""Associations a second: A-ASSOCIATE with a username and passcode, C-ECHO, A-RELEASE."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from .associations import at_once
from .contestants import (
    ACCEPTOR,
    DIRECT,
    HAPROXY,
    STORAGE_ACCEPTOR,
    Contestant,
    gateway,
    left_out,
    make_certificate,
    proxies,
    pynetdicom,
)
from .pacs import pacs
from .results import GATE, Bar, Comparison, Options, Sample, interleave

_CPU = 0.28  # ms
_OTHERS = (Bar(against=ACCEPTOR, least=25), Bar(against=STORAGE_ACCEPTOR, least=25))
_LOADS = {1: ("One at a time", 0.55), 16: ("16 at once", 0.4)}
"""How many at once -> the title, and the least that is expected of HAProxy's rate."""
_LOGGING = f"{GATE}, log from info on"


def run(options: Options, folder: Path) -> list[Comparison]:
    """One at a time, and 16 at once."""
    seconds = 0.3 if options.quick else 3.0
    with ExitStack() as stack:
        server = stack.enter_context(pacs(folder, make_certificate(folder)))
        contestants = {DIRECT: Contestant(server.port)}
        contestants |= stack.enter_context(proxies(folder, server.port))
        contestants[GATE] = stack.enter_context(gateway(folder, server.port))
        contestants[_LOGGING] = stack.enter_context(gateway(folder, server.port, log_level="info"))
        for kind in (ACCEPTOR, STORAGE_ACCEPTOR):
            contestants[kind] = stack.enter_context(pynetdicom(folder, kind))
        return [_compare(count, contestants, seconds, options) for count in _LOADS]


def _compare(count: int, contestants: dict[str, Contestant], seconds: float, options: Options) -> Comparison:
    title, least = _LOADS[count]
    bars = (Bar(against=HAPROXY, least=least), Bar("cpu", most=_CPU), *_OTHERS)
    take = {name: partial(_take, contestant, count, seconds) for name, contestant in contestants.items()}
    references = (HAPROXY, ACCEPTOR, STORAGE_ACCEPTOR)
    return Comparison(title, "associations/s", interleave(take, options.rounds), references, "ms", bars, left_out())


def _take(contestant: Contestant, count: int, seconds: float) -> Sample:
    contestant.check()
    before = contestant.cpu()
    lasted, taken = at_once(contestant.port, count, seconds)
    cpu = (contestant.cpu() - before) / len(lasted) * 1000 if contestant.process else None
    return Sample(len(lasted) / taken, cpu)
