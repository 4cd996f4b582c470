"""Runs a target on mutated seeds, within bounds, and reports the inputs that break its promise.

Rule 1: the promise of a target is that only its documented exceptions escape, and that no input takes more than
        `LONGEST` seconds of CPU time or makes the process grow by more than `LARGEST` bytes.
Rule 2: an input follows from the target's seeds, the run's seed and its number: the same numbers, the same input.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from random import Random

from .mutation import mutated

LONGEST = 1.0
LARGEST = 256 * 1024 * 1024
_STATUS = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)


@dataclass(frozen=True, slots=True)
class Target:
    """One parser: `run` reads an input, and may raise `refusals` only.

    `seeds` returns the inputs to start from, the same ones each time; `words` are inserted by some mutations.
    """

    name: str
    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that broke the promise, and how."""

    number: int
    data: bytes
    what: str


def load(name: str) -> Target:
    """The target of a module of this package."""
    target = import_module(f"fuzz.{name}").TARGET
    assert isinstance(target, Target)
    return target


def check(target: Target, data: bytes) -> str:
    """Run one input. Returns "" if the promise held, else what happened."""
    before = _peak()
    began = time.thread_time()
    try:
        target.run(data)
    except target.refusals:
        pass
    except Exception as error:  # noqa: BLE001 (an undocumented exception is what we look for)
        return f"{type(error).__name__}: {error}"
    took, grown = time.thread_time() - began, _peak() - before
    if took > LONGEST:
        return f"took {took:.1f} s of CPU time"
    return f"grew by {grown} bytes" if grown > LARGEST else ""


def run(target: Target, *, seed: int = 0, executions: int, seconds: float) -> tuple[int, list[Finding]]:
    """Run the seeds, then mutated ones, until one of the bounds is reached: how many ran, and what was found.

    The same failure is reported once, with its first input.
    """
    seeds = list(target.seeds())
    found: dict[str, Finding] = {}
    until = time.monotonic() + seconds
    number = 0
    while number < executions and time.monotonic() < until:
        data = seeds[number] if number < len(seeds) else made(target, seeds, seed, number)
        if what := check(target, data):
            found.setdefault(what, Finding(number, data, what))
        number += 1
    return number, list(found.values())


def made(target: Target, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """The input of this number."""
    return mutated(Random(f"{seed}:{number}"), seeds, target.words)


def _peak() -> int:
    """The largest size of this process so far, in bytes (proc(5): VmHWM, in KiB).

    Not ru_maxrss of getrusage(2), which a process inherits from the one that started it.
    """
    status = os.pread(_STATUS, 4096, 0)
    return int(status[status.index(b"VmHWM:") + 6 :].split(None, 1)[0]) * 1024
