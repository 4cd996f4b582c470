"""Associations a second: A-ASSOCIATE with a username and passcode, C-ECHO, A-RELEASE."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from .contestants import (
    ACCEPTOR,
    DIRECT,
    HAPROXY,
    STORAGE_ACCEPTOR,
    Contestant,
    gateway,
    haproxy,
    haproxy_command,
    left_out,
    make_certificate,
    pynetdicom,
)
from .load import echo_at_once, echo_for
from .pacs import pacs
from .results import GATE, Bar, Comparison, Options, Sample, interleave

_BARS = (Bar(against=HAPROXY, least=0.6), Bar(against=ACCEPTOR, least=25), Bar(against=STORAGE_ACCEPTOR, least=25))
_LOGGING = f"{GATE}, log from info on"
_AT_ONCE = 16

Load = Callable[[int, float], tuple[int, float]]


def run(options: Options, folder: Path) -> list[Comparison]:
    """One at a time, and 16 at once."""
    seconds = 0.3 if options.quick else 3.0
    loads: dict[str, Load] = {
        "One at a time": echo_for,
        f"{_AT_ONCE} at once": partial(echo_at_once, at_once=_AT_ONCE),
    }
    with ExitStack() as stack:
        server = stack.enter_context(pacs(folder, make_certificate(folder)))
        contestants = {DIRECT: Contestant(server.port)}
        if haproxy_command():
            contestants[HAPROXY] = stack.enter_context(haproxy(folder, server.port))
        contestants[GATE] = stack.enter_context(gateway(folder, server.port))
        contestants[_LOGGING] = stack.enter_context(gateway(folder, server.port, log_level="info"))
        for kind in (ACCEPTOR, STORAGE_ACCEPTOR):
            contestants[kind] = stack.enter_context(pynetdicom(folder, kind))
        return [_compare(title, contestants, load, seconds, options) for title, load in loads.items()]


def _compare(
    title: str, contestants: dict[str, Contestant], load: Load, seconds: float, options: Options
) -> Comparison:
    take = {name: partial(_take, contestant, load, seconds) for name, contestant in contestants.items()}
    references = (HAPROXY, ACCEPTOR, STORAGE_ACCEPTOR)
    return Comparison(title, "associations/s", interleave(take, options.rounds), references, "ms", _BARS, left_out())


def _take(contestant: Contestant, load: Load, seconds: float) -> Sample:
    contestant.check()
    before = contestant.cpu()
    count, taken = load(contestant.port, seconds)
    cpu = (contestant.cpu() - before) / count * 1000 if contestant.process else None
    return Sample(count / taken, cpu)
