"""Runs a target on mutated seeds, within bounds, and reports the inputs that break its promise.

Rule 1: the promise of a target is that only its documented exceptions escape, and that no input takes more than
        `LONGEST` seconds of CPU time or makes the process grow by more than `LARGEST` bytes.
Rule 2: an input follows from the target's seeds, the run's seed and its number: the same numbers, the same input,
        however many processes share a run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from mmap import mmap
from pathlib import Path
from random import Random

from . import corpora
from .mutation import LONGEST as _LARGEST_INPUT
from .mutation import mutated

LONGEST = 1.0
LARGEST = 256 * 1024 * 1024
BLOCK = 512
"""So many inputs come from one source of chance, and are looked at together for what they make the process grow by."""
_STATUS = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)


@dataclass(frozen=True, slots=True)
class Target:
    """One reader: `run` reads an input, and may raise `refusals` only. `aims_at` are the modules that it is for.

    `seeds` returns the inputs to start from, the same ones each time; `words` are inserted by some mutations. Where
    `native` code reads, an input is in a file while it runs, because it may end the process.
    """

    name: str
    aims_at: tuple[str, ...]
    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[bytes, ...] = ()
    native: bool = False

    def inputs(self) -> list[bytes]:
        """The seeds, and the corpus that was grown from them."""
        return list(dict.fromkeys([*self.seeds(), *corpora.grown(self.name)]))


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that broke the promise, and how."""

    number: int
    data: bytes
    what: str


@dataclass(slots=True)
class Ran:
    """How many inputs ran, in how many seconds of CPU time, and what was found: each failure once."""

    executions: int = 0
    seconds: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, other: Ran) -> None:
        """Count another part of the same run."""
        self.executions += other.executions
        self.seconds += other.seconds
        for finding in other.findings.values():
            first = self.findings.setdefault(finding.what, finding)
            if finding.number < first.number:
                self.findings[finding.what] = finding


def load(name: str) -> Target:
    """The target of a module of `fuzz.targets`."""
    target = import_module(f"fuzz.targets.{name}").TARGET
    assert isinstance(target, Target)
    return target


def check(target: Target, data: bytes) -> str:
    """Run one input. Returns "" if the promise held, else what happened."""
    before = _peak()
    return _broken(target, data) or _grown(before)


def run(
    target: Target,
    *,
    seed: int = 0,
    executions: int,
    seconds: float,
    part: int = 0,
    parts: int = 1,
    running: Path | None = None,
) -> Ran:
    """Run the seeds, then mutated ones, until one of the bounds is reached; of these, every `parts`th block.

    The file `running` has the input that runs now, if the target is native: see `running_in`.
    """
    seeds, ran = target.inputs(), Ran()
    noted = _map(running) if target.native and running is not None else None
    until, began = time.monotonic() + seconds, time.process_time()
    for first in range(part * BLOCK, executions, parts * BLOCK):
        before = _peak()
        block = list(islice(made(target, seeds, seed, first), min(BLOCK, executions - first)))
        for number, data in enumerate(block, first):
            if noted is not None:
                noted[: 4 + len(data)] = len(data).to_bytes(4) + data
            if what := _broken(target, data):
                ran.findings.setdefault(what, Finding(number, data, what))
            ran.executions += 1
            if time.monotonic() >= until:
                break
        if _grown(before):
            _find_large(target, block, first, ran)
        if time.monotonic() >= until:
            break
    if noted is not None and running is not None:
        noted.close()
        running.unlink()
    ran.seconds = time.process_time() - began
    return ran


def running_in(path: Path) -> bytes:
    """The input that ran when the process that wrote this file ended."""
    content = path.read_bytes()
    return content[4 : 4 + int.from_bytes(content[:4])]


def _map(path: Path) -> mmap:
    """A file as memory: to note each input in it takes no system call, and what is noted outlives the process."""
    path.write_bytes(bytes(4 + _LARGEST_INPUT))
    with path.open("r+b") as file:
        return mmap(file.fileno(), 0)


def made(target: Target, seeds: Sequence[bytes], seed: int, first: int) -> Iterator[bytes]:
    """The inputs from this number on, which begins a block: the seeds, and then what is made of them."""
    random = Random(f"{seed}:{first // BLOCK}")
    for number in range(first, first + BLOCK):
        yield seeds[number] if number < len(seeds) else mutated(random, seeds, target.words)


def _broken(target: Target, data: bytes) -> str:
    began = time.monotonic()
    if what := _raised(target, data):
        return what
    if time.monotonic() - began <= LONGEST:  # asked for first, because it takes no system call
        return ""
    began = time.thread_time()
    _raised(target, data)
    took = time.thread_time() - began
    return f"took {took:.1f} s of CPU time" if took > LONGEST else ""


def _raised(target: Target, data: bytes) -> str:
    try:
        target.run(data)
    except target.refusals:
        pass
    except Exception as error:  # noqa: BLE001 (an undocumented exception is what we look for)
        return f"{type(error).__name__}: {error}"
    return ""


def _find_large(target: Target, block: Sequence[bytes], first: int, ran: Ran) -> None:
    """One input of this block took too much memory: run each once more to see which."""
    for number, data in enumerate(block, first):
        with suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("5")  # proc(5): the peak is again what is used now
        if what := check(target, data):
            ran.findings.setdefault(what, Finding(number, data, what))


def _grown(before: int) -> str:
    grown = _peak() - before
    return f"grew by {grown} bytes" if grown > LARGEST else ""


def _peak() -> int:
    """The largest size of this process so far, in bytes (proc(5): VmHWM, in KiB).

    Not ru_maxrss of getrusage(2), which a process inherits from the one that started it.
    """
    status = os.pread(_STATUS, 4096, 0)
    return int(status[status.index(b"VmHWM:") + 6 :].split(None, 1)[0]) * 1024
