"""`python -m bench [NAME...]`: run benchmarks, print their tables, and with --write put them into docs/performance.md.

Every benchmark has a limit of time, and whatever ends it, what it started is stopped.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import report
from .processes import BenchError
from .results import Comparison, Options, tell

TITLES = {
    "bulk": "Bulk data of one association",
    "tls": "Bulk data with TLS on the client's side",
    "storescu": "storescu to storescp",
    "stock": "An unchanged storescu",
    "rate": "Associations a second",
    "syscalls": "System calls an association",
    "logins": "Real logins",
    "presented": "Credentials, presented",
    "latency": "C-ECHO while others are busy",
    "idle": "Idle associations",
    "inspected": "Limited rights",
    "parse": "A-ASSOCIATE-RQ, parsed and encoded",
    "state": "Attempts, counted",
}
_LIMIT = 1800  # seconds for one benchmark
_QUICK_LIMIT = 180


def main() -> None:
    """Exit status: 0 all were run, 1 one could not be, 130 interrupted. Bars that are not reached change nothing."""
    arguments = _parser().parse_args()
    options = Options(arguments.rounds or (1 if arguments.quick else 5), arguments.quick)
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, _interrupted)
    failed = []
    for name in arguments.names or TITLES:
        tell(f"{name}: {TITLES[name]}")
        try:
            comparisons = _run(name, options)
        except BenchError as error:
            tell(f"{name} was not run: {error}")
            failed.append(name)
            continue
        command = " ".join(["python -m bench", name, f"--rounds {options.rounds}", *["--quick"] * options.quick])
        text = report.section(name, TITLES[name], comparisons, command)
        print(f"## {TITLES[name]}\n\n{text}\n", flush=True)
        if arguments.write:
            _write(name, text, comparisons)
    sys.exit(1 if failed else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="dicomgate, HAProxy and pynetdicom compared")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TITLES)}; without one, all")
    parser.add_argument("--rounds", type=int, default=0, help="interleaved rounds; 5, or 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="small loads: does it work? The figures are worth nothing")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md, with charts")
    return parser


def _run(name: str, options: Options) -> list[Comparison]:
    """Run one benchmark in a folder of its own. Raises BenchError."""
    signal.alarm(_QUICK_LIMIT if options.quick else _LIMIT)
    try:
        with tempfile.TemporaryDirectory(prefix="dicomgate-bench-") as folder:
            benchmark = import_module(f"bench.{name}")
            found: list[Comparison] = benchmark.run(options, Path(folder))
            return found
    except OSError as error:
        raise BenchError(f"{type(error).__name__}: {error}") from error
    finally:
        signal.alarm(0)


def _write(name: str, text: str, comparisons: list[Comparison]) -> None:
    from .chart import draw  # matplotlib takes a second to import, and is for this alone

    draw(comparisons, report.CHARTS / f"{name}.svg")
    report.PAGE.write_text(report.insert(report.PAGE.read_text("utf-8"), name, text), "utf-8")
    tell(f"{name}: written to {report.PAGE.name}")


def _too_long(_: int, __: FrameType | None) -> NoReturn:
    raise BenchError("it took too long")


def _interrupted(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
