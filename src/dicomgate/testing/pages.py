"""The documents as the tests read them: pages, headings, tables, fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("plugins/*/README.md")])

_FENCE = re.compile(r"^```(\w*) ?(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, the word behind it, its text, and where it stands in the page."""

    language: str
    note: str
    text: str
    line: int


def text(page: Path) -> str:
    """The whole page."""
    return page.read_text("utf-8")


def name(page: Path) -> str:
    """Its path below the root of the project."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[Block]:
    """Its fenced blocks, of these languages if any is named."""
    source = text(page)
    found = [
        Block(match[1], match[2], match[3], source.count("\n", 0, match.start()) + 2)
        for match in _FENCE.finditer(source)
    ]
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", text(page))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(page))}


def section(page: Path, heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    parts = re.split(r"^#{1,6} (.+)$", prose(page), flags=re.MULTILINE)
    found = [body for title, body in zip(parts[1::2], parts[2::2], strict=True) if title == heading]
    if len(found) != 1:
        raise LookupError(f"{name(page)}: {len(found)} headings {heading!r}")
    return found[0]


def rows(body: str) -> Iterator[list[str]]:
    """The cells of every table row whose first cell is not a head or a rule."""
    lines = [line for line in body.splitlines() if line.startswith("|")]
    for index, line in enumerate(lines):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if not re.match(r"\| ?---", line) and not re.match(r"\| ?---", following):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
