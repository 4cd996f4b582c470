"""How much of the modules that a target aims at its inputs reach, in lines and branches.

    python -m fuzz.measuring TARGET SEED SECONDS EXECUTIONS FOLDER

`python -m fuzz --measure` runs this. It measures from the first import on, so each target has a process of its own.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import coverage


def main() -> None:
    """Run, and print a line for each module."""
    name, seed, seconds, executions, _ = sys.argv[1:]
    measured = coverage.Coverage(data_file=None, config_file=False, branch=True, include=["*/dicomgate*/*"])
    measured.start()
    from .engine import load, run

    target = load(name)
    ran = run(target, seed=int(seed), executions=int(executions) or sys.maxsize, seconds=int(seconds))
    measured.stop()
    files = {module: str(import_module(module).__file__) for module in target.aims_at}
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        measured.json_report(morfs=list(files.values()), outfile=str(report))
        told = json.loads(report.read_text("utf-8"))["files"]
    found = {str(Path(path).resolve()): about for path, about in told.items()}
    for module, path in files.items():
        about = found[str(Path(path).resolve())]
        missing = ", ".join(map(str, about["missing_lines"]))
        percent = about["summary"]["percent_covered"]
        print(f"{name} | {module} | {ran.executions} | {percent:.1f} % | {missing}", flush=True)


if __name__ == "__main__":
    main()
