"""Comparisons -> Markdown, and into docs/performance.md between the marks of their benchmark."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .processes import ROOT
from .results import Comparison, short

PAGE = ROOT / "docs" / "performance.md"
CHARTS = ROOT / "docs" / "performance"


def machine() -> str:
    """What it was measured on, in one line."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    model = found[1] if found else platform.machine()
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def table(comparison: Comparison) -> str:
    """A Markdown table with a row for each contestant, the bars, and the notes below."""
    references = [name for name in comparison.references if name in comparison.contestants]
    with_cpu = any(comparison.values(name, "cpu") for name in comparison.contestants)
    heads = ["", comparison.unit, "least - most", *(f"ratio to {name}" for name in references)]
    if with_cpu:
        heads += [f"CPU {comparison.cpu_unit}", *(f"CPU ratio to {name}" for name in references if _has_cpu(name))]
    lines = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    for name in comparison.contestants:
        least, most = comparison.spread(name)
        cells = [name, short(comparison.median(name)), f"{short(least)} - {short(most)}"]
        cells += [short(comparison.ratio(name, reference)) for reference in references]
        if with_cpu:
            cells.append(short(comparison.median(name, "cpu")))
            cells += [short(comparison.ratio(name, other, "cpu")) for other in references if _has_cpu(other)]
        lines.append(_line(cells))
    if comparison.bars:
        lines += ["", _line(["bar", "measured", ""]), _line(["---", "---:", "---"])]
        for judgement in map(comparison.judge, comparison.bars):
            verdict = {None: "not measured", True: "reached", False: "**not reached**"}[judgement.reached]
            lines.append(_line([judgement.words, short(judgement.value), verdict]))
    for note in comparison.notes:
        lines += ["", note]
    return "\n".join(lines)


def section(name: str, title: str, comparisons: Sequence[Comparison], command: str) -> str:
    """All tables of one benchmark with their chart, and what makes them again."""
    rounds = len(comparisons[0].rounds)
    rounds_made = f"medians of {rounds} rounds" if rounds > 1 else "one round"
    parts = [f"![{title}](performance/{name}.svg)"]
    parts += [f"**{comparison.title}**\n\n{table(comparison)}" for comparison in comparisons]
    when = datetime.now(UTC).date().isoformat()
    parts.append(f"{machine()}; {when}; {rounds_made}; `{command}`.")
    return "\n\n".join(parts)


def insert(page: str, name: str, text: str) -> str:
    """The page with the text between the marks of that benchmark. Raises ValueError without the marks."""
    begin, end = f"<!-- bench {name} -->", f"<!-- end {name} -->"
    before, found, rest = page.partition(begin)
    _, also_found, after = rest.partition(end)
    if not found or not also_found:
        raise ValueError(f"no {begin} ... {end} in the page")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def _has_cpu(reference: str) -> bool:
    return reference != "direct"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
