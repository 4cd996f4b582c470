"""The documents as the tests read them: pages, headings, tables, fenced blocks."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ..kit import failover, refreshed, watched

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("plugins/*/README.md")])

_FENCE = re.compile(r"^```(\w*) ?(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PLACEHOLDER = re.compile(r"%[-.\w]*[dfgrs]")
_RULE = re.compile(r"\| ?---")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, the word after that, its text, and its line in the page."""

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
    """The text under a heading, up to the next heading of any level."""
    parts = re.split(r"^#{1,6} (.+)$", prose(page), flags=re.MULTILINE)
    found = [body for title, body in zip(parts[1::2], parts[2::2], strict=True) if title == heading]
    if len(found) != 1:
        raise LookupError(f"{name(page)}: {len(found)} headings {heading!r}")
    return found[0]


def rows(body: str) -> Iterator[list[str]]:
    """The cells of every table row that is no head and no rule."""
    lines = [line for line in body.splitlines() if line.startswith("|")]
    for index, line in enumerate(lines):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if not _RULE.match(line) and not _RULE.match(following):
            yield _cells(line)


def table(page: Path, head: str, under: str = "") -> list[list[str]]:
    """The rows of the table whose first column has this head, in the whole page or under one heading.

    Raises LookupError unless there is one such table.
    """
    body = section(page, under) if under else prose(page)
    found = re.findall(rf"^\| {re.escape(head)} \|.*\n\| ---.*\n((?:\|.*\n)+)", body, re.MULTILINE)
    if len(found) != 1:
        raise LookupError(f"{name(page)}: {len(found)} tables with the head {head!r}")
    return [_cells(line) for line in found[0].splitlines()]


def words(page: Path) -> str:
    """The whole page on one line, for phrases that a line break may be in."""
    return " ".join(text(page).split())


def configurations(page: Path, note: str = "") -> list[dict[str, Any]]:
    """What its TOML blocks say, in their order; with `note`, those whose fence has this word after `toml`."""
    return [tomllib.loads(block.text) for block in blocks(page, "toml") if note in ("", block.note)]


def authenticators(page: Path) -> list[dict[str, Any]]:
    """Every [[authenticator]] table of its TOML blocks, in their order."""
    return [table for tables in configurations(page) for table in tables.get("authenticator", [])]


def undocumented_messages(page: Path, package: ModuleType) -> list[str]:
    """The log messages of a package, with those of the kit that it uses, which the page's table of messages lacks.

    The table has the columns "level" and "message". A message is there if the text on both sides of each "%s" begins
    in a row of its level. Raises LookupError if the package logs nothing.
    """
    written = list(_messages(package))
    if not written:
        raise LookupError(f"{package.__name__} logs nothing")
    shown: dict[str, str] = {}
    for level, message, *_ in table(page, "level"):
        shown[level] = f"{shown.get(level, '')}\n{message}"
    return [
        f"{level}: {message}"
        for level, message in written
        if any(part.strip(" :;")[:12] not in shown.get(level, "") for part in _PLACEHOLDER.split(message))
    ]


def _messages(package: ModuleType) -> Iterator[tuple[str, str]]:
    """Level and text of each `_log.LEVEL("...")` in the package, and in the kit's modules that log for it."""
    files = [file for folder in package.__path__ for file in sorted(Path(folder).rglob("*.py"))]
    used = "".join(file.read_text("utf-8") for file in files)
    kit = [
        Path(str(module.__file__))
        for module in (failover, refreshed, watched)
        if f"from {module.__name__} import" in used
    ]
    for file in [*files, *kit]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="_log") | ast.Attribute(attr="_log"), attr=level),
                    args=[ast.Constant(value=str(message)), *_],
                ):
                    yield {"exception": "error"}.get(level, level), message


def _cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
