"""`python -m fuzz`: run the targets in turn. Exit status 1 if one broke its promise; its input is then in a file."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from . import GROUPS, TARGETS
from .engine import check, load
from .processes import fuzz

_FOREVER = 10 * 86_400


def main() -> int:
    """Read the command line and run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the readers of what strangers send.")
    known = [*GROUPS, *TARGETS]
    parser.add_argument("targets", nargs="*", choices=[*known, []], metavar="TARGET", help=", ".join(known))
    parser.add_argument("--seconds", type=int, help="for each target (default: 10; with --executions: no bound)")
    parser.add_argument("--executions", type=int, help="for each target, at most")
    parser.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes (default: one a core)"
    )
    parser.add_argument("--seed", type=int, default=0, help="other inputs for another number (default: 0)")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where inputs are written")
    parser.add_argument("--guided", action="store_true", help="with atheris, by the code that is reached")
    parser.add_argument("--replay", type=Path, help="run this one input of one target")
    parser.add_argument("--measure", action="store_true", help="what of its modules the inputs of a target reach")
    parser.add_argument("--grow", action="store_true", help="keep inputs that reach more in fuzz/corpus/")
    given = parser.parse_args()
    names = list(dict.fromkeys(one for name in given.targets or TARGETS for one in GROUPS.get(name, (name,))))
    given.seconds = given.seconds or (_FOREVER if given.executions else 10)
    if given.replay:
        what = [check(load(name), given.replay.read_bytes()) for name in names]
        print("\n".join(filter(None, what)) or "the promise holds")
        return int(any(what))
    if given.guided and not find_spec("atheris"):
        parser.error("--guided needs atheris: pip install atheris")
    bounds = [str(given.seed), str(given.seconds), str(given.executions or 0)]
    if given.measure:
        return subprocess.call([sys.executable, "-m", "fuzz.measuring", *bounds, *names])
    if given.guided or given.grow:
        module = "fuzz.guided" if given.guided else "fuzz.growing"
        command = [sys.executable, "-m", module, *bounds, str(given.findings)]
        return max([subprocess.call([*command, name]) for name in names])
    return max([_fuzz(name, given) for name in names])


def _fuzz(name: str, given: argparse.Namespace) -> int:
    try:
        load(name)
    except ImportError as error:
        print(f"{name}: not run: {error}")
        return 0
    ran = fuzz(
        name,
        jobs=given.jobs,
        seed=given.seed,
        executions=given.executions or sys.maxsize,
        seconds=given.seconds,
        folder=given.findings,
    )
    rate = ran.executions / max(ran.seconds, 0.01)
    print(f"{name}: {ran.executions} inputs, {rate:.0f} a CPU second, {len(ran.findings)} findings", flush=True)
    for finding in ran.findings.values():
        path = given.findings / f"{name}-{given.seed}-{finding.number}"
        path.write_bytes(finding.data)
        print(f"  {finding.what}\n  again: python -m fuzz {name} --replay {path}")
    return int(bool(ran.findings))


if __name__ == "__main__":
    sys.exit(main())
