"""`python -m fuzz`: run the targets in turn. Exit status 1 if one broke its promise; its input is then in a file."""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from . import TARGETS
from .engine import check, load, run


def main() -> int:
    """Read the command line and run; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the readers of what a client sends.")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=10, help="for each target (default: 10)")
    parser.add_argument("--executions", type=int, default=1_000_000_000, help="for each target, at most")
    parser.add_argument("--seed", type=int, default=0, help="other inputs for another number (default: 0)")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="where inputs are written")
    parser.add_argument("--guided", action="store_true", help="with atheris, by the code that is reached")
    parser.add_argument("--replay", type=Path, help="run this one input of one target")
    given = parser.parse_args()
    names = given.targets or TARGETS
    if given.replay:
        what = [check(load(name), given.replay.read_bytes()) for name in names]
        print("\n".join(filter(None, what)) or "the promise holds")
        return int(any(what))
    if given.guided and not find_spec("atheris"):
        parser.error("--guided needs atheris: pip install atheris")
    if given.guided:
        command = [sys.executable, "-m", "fuzz.guided"]
        arguments = [str(given.seed), str(given.seconds), str(given.findings)]
        return max([subprocess.call([*command, name, *arguments]) for name in names])
    return max([_fuzz(name, given) for name in names])


def _fuzz(name: str, given: argparse.Namespace) -> int:
    executions, findings = run(load(name), seed=given.seed, executions=given.executions, seconds=given.seconds)
    print(f"{name}: {executions} inputs, {len(findings)} findings", flush=True)
    for finding in findings:
        given.findings.mkdir(parents=True, exist_ok=True)
        path = given.findings / f"{name}-{given.seed}-{finding.number}"
        path.write_bytes(finding.data)
        print(f"  {finding.what}\n  again: python -m fuzz {name} --replay {path}")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
