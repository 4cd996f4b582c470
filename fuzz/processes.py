"""One run of a target, by one process or by several: each runs every so-manyth block of the inputs."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from .engine import Finding, Ran, load, run, running_in


def fuzz(name: str, *, jobs: int, seed: int, executions: int, seconds: float, folder: Path) -> Ran:
    """Run a target. `folder` has the inputs that run now, for as long as they do, if native code reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    bounds = name, seed, executions, seconds, jobs, folder
    if jobs == 1:
        return _part(*bounds, 0)
    ran = Ran()
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        parts = [pool.submit(_part, *bounds, part) for part in range(jobs)]
        for number, part in enumerate(parts):
            try:
                ran.add(part.result())
            except BrokenProcessPool:
                _ended(_running(folder, name, number), ran)
    return ran


def _part(name: str, seed: int, executions: int, seconds: float, jobs: int, folder: Path, part: int) -> Ran:
    bounds = {"seed": seed, "executions": executions, "seconds": seconds, "part": part, "parts": jobs}
    return run(load(name), **bounds, running=_running(folder, name, part))  # type: ignore[arg-type]


def _running(folder: Path, name: str, part: int) -> Path:
    return folder / f"{name}-running-{part}"


def _ended(running: Path, ran: Ran) -> None:
    """A process has ended by itself, and the others with it: one of these files has the input."""
    if running.exists():
        what = f"a process ended while it ran this, or another one did at the same time ({running.name})"
        ran.findings[what] = Finding(0, running_in(running), what)
        running.unlink()
