"""How much of the modules that targets aim at their inputs reach, in lines and branches.

    python -m fuzz.measuring SEED SECONDS EXECUTIONS TARGET...

`python -m fuzz --measure` runs this. It measures from the first import on, so it has a process of its own. The bounds
are those of each target.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import coverage


def main() -> None:
    """Run, and print a line for each module: how much of it, what lines are left, and the targets that aim at it."""
    seed, seconds, executions, *names = sys.argv[1:]
    measured = coverage.Coverage(data_file=None, config_file=False, branch=True, include=["*/dicomgate*/*"])
    measured.start()
    from .engine import load, run

    aimed: dict[str, list[str]] = {}
    for name in names:
        target = load(name)
        run(target, seed=int(seed), executions=int(executions) or sys.maxsize, seconds=int(seconds))
        for module in target.aims_at:
            aimed.setdefault(module, []).append(name)
    measured.stop()
    for module, by in sorted(aimed.items()):
        path = str(import_module(module).__file__)
        with TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            measured.json_report(morfs=[path], outfile=str(report))
            (about,) = json.loads(report.read_text("utf-8"))["files"].values()
        missing = ", ".join(map(str, about["missing_lines"]))
        print(f"{module} | {about['summary']['percent_covered']:.1f} % | {missing} | {', '.join(by)}", flush=True)


if __name__ == "__main__":
    main()
