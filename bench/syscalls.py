"""System calls an association, counted by strace. It slows the contestants down, but does not change what they do."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from math import inf
from pathlib import Path

from .associations import ALICE, at_once
from .contestants import Contestant, gateway, left_out, make_certificate, proxies
from .pacs import pacs
from .processes import BenchError, Running, running
from .results import GATE, Bar, Comparison, Options, Sample, interleave

_LOADS: dict[int, tuple[str, tuple[Bar, ...]]] = {1: ("One at a time", ()), 16: ("16 at once", (Bar(most=28),))}
"""How many at once -> the title, and the bars: alone, every contestant waits once more for each PDU."""
_ROW = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)
_SHOWN = 0.1  # calls an association, from which on a call is named
_PATIENCE = 10.0  # seconds


def run(options: Options, folder: Path) -> list[Comparison]:
    """One at a time, and 16 at once."""
    strace = shutil.which("strace")
    if strace is None:
        raise BenchError("strace is not installed (apt-get install strace)")
    with ExitStack() as stack:
        server = stack.enter_context(pacs(folder, make_certificate(folder)))
        contestants = stack.enter_context(proxies(folder, server.port))
        contestants[GATE] = stack.enter_context(gateway(folder, server.port))
        return [_compare(strace, most, contestants, options, folder) for most in _LOADS]


def _compare(strace: str, most: int, contestants: dict[str, Contestant], options: Options, folder: Path) -> Comparison:
    count = 100 if options.quick else 1000
    told: dict[str, str] = {}

    def take(name: str) -> Sample:
        contestant = contestants[name]
        assert contestant.process is not None
        at_once(contestant.port, most, inf, islice(ALICE, most))  # what only the first ones cost
        with _traced(strace, contestant.process, folder) as log:
            lasted, _ = at_once(contestant.port, most, inf, islice(ALICE, count))
        calls = {call: int(times) / len(lasted) for times, call in _ROW.findall(log.read_text("ascii"))}
        total = calls.pop("total")
        told[name] = ", ".join(f"{call} {times:.1f}" for call, times in calls.items() if times >= _SHOWN)
        return Sample(total)

    rounds = interleave({name: partial(take, name) for name in contestants}, options.rounds)
    notes = tuple(f"{name}: {told[name]}." for name in contestants)
    title, bars = _LOADS[most]
    return Comparison(title, "calls", rounds, bars=bars, notes=(*notes, *left_out()))


@contextmanager
def _traced(strace: str, process: Running, folder: Path) -> Iterator[Path]:
    """Count the calls of all threads; the table is in the file once the block has ended. Raises BenchError."""
    table, pids = folder / "calls.txt", process.pids()
    attached = [option for pid in pids for option in ("-p", str(pid))]
    with running([strace, "-f", "-c", "-S", "calls", "-o", table, *attached], folder, "strace") as tracer:
        deadline = time.monotonic() + _PATIENCE
        while not all(map(_is_traced, pids)):
            tracer.check()
            if time.monotonic() > deadline:
                raise BenchError(f"strace does not attach:\n{tracer.tail()}")
            time.sleep(0.02)
        yield table
        time.sleep(0.1)  # what the last association is followed by
        tracer.process.send_signal(signal.SIGINT)
        tracer.process.wait(_PATIENCE)


def _is_traced(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return all("TracerPid:\t0\n" not in (thread / "status").read_text("utf-8") for thread in threads)
