"""Grow the corpus of one target: keep each input that reaches a way through its modules that no other one reaches.

    python -m fuzz.growing SEED SECONDS EXECUTIONS FOLDER TARGET

`python -m fuzz --grow` runs this. It begins with our own seeds, with the corpus as it is, and with what `--guided` has
left in FOLDER.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable
from importlib import import_module
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from . import corpora
from .engine import Target, check, load
from .mutation import mutated

_LONGEST = 4_096
"""Bytes of an input that is kept: the corpus stays small, and mutations of short inputs are quick."""
_Ways = set[tuple[str, int, int]]
"""From a line of a file to the line that ran next."""


def main() -> None:
    """Grow, minimize, and write."""
    seed, seconds, executions, folder, name = sys.argv[1:]
    corpora.own_only = True
    target = load(name)
    found = [path.read_bytes() for path in sorted((Path(folder) / name).glob("*"))]
    bounds = {"seed": int(seed), "seconds": int(seconds), "executions": int(executions) or sys.maxsize}
    print(f"{name}: {grow(target, found=found, **bounds)} inputs in its corpus", flush=True)


def grow(target: Target, *, seed: int, seconds: float, executions: int, found: Iterable[bytes]) -> int:
    """Mutate, keep, and write what is worth it; how many inputs that are. `found` are inputs of another run."""
    seeds = target.seeds()
    kept = chosen(target, [*target.inputs(), *found], ())
    known: _Ways = set().union(*(ways(target, data) for data in kept))
    random, until = Random(f"{seed}:growing"), time.monotonic() + seconds
    for _ in range(executions):
        data = mutated(random, kept, target.words)
        if len(data) <= _LONGEST and not known.issuperset(more := ways(target, data)):
            known |= more
            kept.append(data)
        if time.monotonic() >= until:
            break
    grown = chosen(target, sorted(set(kept) - set(seeds), key=lambda data: (len(data), data)), seeds)
    corpora.keep(target.name, grown)
    return len(grown)


def chosen(target: Target, inputs: Iterable[bytes], beside: Collection[bytes]) -> list[bytes]:
    """Those of the inputs that reach what none before them does, and none of those `beside` them."""
    known: _Ways = set().union(*(ways(target, data) for data in beside))
    kept = []
    for data in inputs:
        if len(data) <= _LONGEST and not known.issuperset(more := ways(target, data)):
            known |= more
            kept.append(data)
    return kept


def ways(target: Target, data: bytes) -> _Ways:
    """The ways that an input takes through the modules that its target aims at. Raises AssertionError at a finding."""
    files = {import_module(module).__file__ for module in target.aims_at}
    found: _Ways = set()

    def called(frame: FrameType, _event: str, _argument: object) -> Any:
        file = frame.f_code.co_filename
        if file not in files:
            return None
        last = -frame.f_code.co_firstlineno

        def moved(frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal last
            at = frame.f_lineno if event == "line" else 0
            found.add((file, last, at))
            last = at
            return moved

        return moved

    before = sys.gettrace()
    sys.settrace(called)
    try:
        what = check(target, data)
    finally:
        sys.settrace(before)
    assert not what, (what, data)
    return found


if __name__ == "__main__":
    main()
