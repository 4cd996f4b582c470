"""Idle associations: memory of the process for each, and CPU while nothing happens. A fresh process every time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from .contestants import (
    ACCEPTOR,
    HAPROXY,
    Contestant,
    gateway,
    haproxy,
    haproxy_command,
    left_out,
    make_certificate,
    pynetdicom,
)
from .load import open_idle, tls_context
from .pacs import pacs
from .processes import raise_descriptor_limit
from .results import GATE, Bar, Comparison, Options, Sample, interleave, tell

_WARM = 20  # associations before the first look: what they cost once is not counted
_SETTLE = 0.5  # seconds
_THREADED = 100  # associations of a contestant that has two polling threads for each
_BESIDE = 200  # descriptors of a process that are not associations'

Start = Callable[[], AbstractContextManager[Contestant]]


def run(options: Options, folder: Path) -> list[Comparison]:
    """1,000 and 5,000 plain associations, and 1,000 with TLS, as far as file descriptors allow."""
    allowed = (raise_descriptor_limit() - _BESIDE) // 2
    certificate = make_certificate(folder)
    comparisons = []
    with pacs(folder, certificate) as server:
        for wanted, secured, kib in ((1000, False, 6), (5000, False, 6), (1000, True, 20)):
            count = min(wanted // 20 if options.quick else wanted, allowed)
            notes = left_out(nginx=False)
            if allowed < wanted:
                notes += (f"{wanted:,} were meant; the limit of file descriptors allows {allowed:,}.",)
            starts = _starts(folder, server.port, count + 2 * _WARM, certificate if secured else None)
            take = {
                name: partial(memory, start, min(count, _THREADED) if ACCEPTOR in name else count, secured, options)
                for name, start in starts.items()
            }
            title = f"{count:,} idle associations{' with TLS' if secured else ''}"
            tell(f" {title}")
            # No CPU: of the five seconds that are watched, less than three of the clock's ticks of 10 ms.
            bars = Bar(most=kib), Bar("cpu", most=0.5)
            rounds = interleave(take, options.rounds)
            comparisons.append(Comparison(title, "KiB each", rounds, (HAPROXY,), "% of a core", bars, notes))
    return comparisons


def _starts(folder: Path, upstream: int, most: int, certificate: Path | None) -> dict[str, Start]:
    found: dict[str, Start] = {}
    if haproxy_command():
        found[HAPROXY] = partial(haproxy, folder, upstream, certificate=certificate, most=most)
    found[GATE] = partial(gateway, folder, upstream, certificate=certificate, most=most)
    if certificate is None and most <= 1000 + 2 * _WARM:
        found[f"{ACCEPTOR} ({_THREADED})"] = partial(pynetdicom, folder, ACCEPTOR)
    return found


def memory(start: Start, count: int, secured: bool, options: Options) -> Sample:
    """KiB of a fresh process for each of so many idle associations, and the share of a core that it takes then."""
    context = tls_context() if secured else None
    with start() as contestant, ExitStack() as kept:
        process = contestant.process
        assert process is not None
        open_idle(contestant.port, _WARM, context, kept)  # and they stay: memory that they freed would be used again
        time.sleep(_SETTLE)
        before = process.memory()
        open_idle(contestant.port, count, context, kept)
        time.sleep(_SETTLE)
        each = (process.memory() - before) / count
        cpu, began = process.cpu(), time.perf_counter()
        time.sleep(0.5 if options.quick else 5)
        share = (process.cpu() - cpu) / (time.perf_counter() - began) * 100
        return Sample(each, share)
