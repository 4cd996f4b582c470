"""Run the checks that docs/threat-model.md names, and write day and commit into the rows whose checks all passed.

With file names as arguments, only the rows that name a test in one of them. What was skipped has not passed. All must
be committed, so that the commit is the one that was checked.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "threat-model.md"
_TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
_ROW = re.compile(r"^\| T\d+ .*\|$", re.MULTILINE)


def checks(row: str) -> set[tuple[str, str]]:
    """The tests that a row names: file and function."""
    return set(_TEST.findall(row))


def rewritten(page: str, passed: set[tuple[str, str]], mark: str) -> str:
    """The page with this mark in the last column of each row of which every check has passed."""

    def row(match: re.Match[str]) -> str:
        found = checks(match[0])
        return re.sub(r"\|[^|]*\|$", f"| {mark} |", match[0]) if found and found <= passed else match[0]

    return _ROW.sub(row, page)


def run(wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The tests that ran, each of whose cases passed."""
    there = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/test_*.py")]
    files = [path for path in there if path.name in {name for name, _ in wanted}]
    names = " or ".join(sorted({function for _, function in wanted}))
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [sys.executable, "-m", "pytest", "-q", "-k", names, f"--junitxml={report.name}", *map(str, files)]
        subprocess.run(command, cwd=ROOT, check=False)
        outcomes = defaultdict[tuple[str, str], list[bool]](list)
        for case in ElementTree.parse(report.name).iter("testcase"):  # noqa: S314 (written by pytest)
            path = case.attrib["classname"].split(".")  # "" of a file that was skipped
            file = next((part for part in path if part.startswith("test_")), "")
            outcomes[f"{file}.py", case.attrib["name"].partition("[")[0]].append(not len(case))
    return {test for test in wanted if outcomes[test] and all(outcomes[test])}


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def main(files: list[str]) -> int:
    """Exit status 1: not all of them passed."""
    page = PAGE.read_text("utf-8")
    rows = [row for row in _ROW.findall(page) if not files or {name for name, _ in checks(row)} & set(files)]
    wanted = {test for row in rows for test in checks(row)}
    if _git("status", "--porcelain"):
        print("proof: there is what no commit has; commit it first", file=sys.stderr)
        return 2
    mark = f"{datetime.now(UTC):%Y-%m-%d}, `{_git('rev-parse', '--short', 'HEAD')}`"
    passed = run(wanted)
    PAGE.write_text(rewritten(page, passed, mark), "utf-8")
    for file, function in sorted(wanted - passed):
        print(f"not passed: {file}::{function}", file=sys.stderr)
    print(f"{len(passed)} of {len(wanted)} checks passed")
    return 1 if wanted - passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
