"""What the documentation needs to be a site: hooks of MkDocs (mkdocs.yml names this file).

The pages are written for GitHub and stay as they are. On their way into the site links that lead out of docs/ are bent
to where the site has it, the note after a fence's language is dropped, charts are cut into their parts (a narrow screen
shows them below each other), and the diagrams are drawn here: GitHub's mermaid would be fetched from a content delivery
network by every reader.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from dicomgate import __version__
from dicomgate.auth import loading as discovery
from dicomgate.cli.plugins import field_docstrings
from dicomgate.errors import PluginError

sys.path.append(str(Path(__file__).parents[1]))  # MkDocs does not do so for hooks
from scripts import chart_parts, machine_drawing

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
}
"""Files that are not in docs/, and where the site has them."""
LONG_CELL = 48
LONGEST_KEY = 34
FOUND = {
    "for-pacs-administrators.md": 5,
    "passcode.md": 2,
    **dict.fromkeys(("for-modality-engineers.md", "troubleshooting.md"), 3),
    **dict.fromkeys(("architecture.md", "changelog.md", "contributing.md", "performance.md"), 0.1),
    "reference/testing.md": 0,
}
"""How much more, or less, a page counts in the search: questions find answers first; 0: not at all."""

_LINK = re.compile(r"\]\((?:\.\./|docs/)?([^)#\s]+)(#[^)\s]*)?\)")
_NOTE = re.compile(r"^(```\w+) \w+$", re.MULTILINE)
_TEXT = re.compile(r"^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COLUMNS = re.compile(r"\S {3,}\S|-->")
_CHART = re.compile(r"^!\[([^]]*)\]\((performance/[\w-]+\.svg)\)$", re.MULTILINE)
_PICTURE = re.compile(r"^!\[[^]]*\]\((assets/[\w-]+\.svg)\)$", re.MULTILINE)
_BUTTONS = re.compile(r"^\[[^]]+\]\([^)]+\)(?: · \[[^]]+\]\([^)]+\))+$", re.MULTILINE)
_ROW = re.compile(r"^\|.*$", re.MULTILINE)
_CODE = re.compile(r"`[^`]*`")
_MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class _Heads(Treeprocessor):  # type: ignore[misc]  # Markdown has no types
    """Give the cells of a table with long cells the head of their column: a narrow screen shows its rows as cards.

    A table whose first column has phrases is marked: a key is never broken, a phrase is. The name of a test is broken
    between its words.
    """

    def run(self, root: Element) -> None:
        for table in root.iter("table"):
            for code in table.iter("code"):
                if "::test_" in (code.text or ""):
                    code.text, *words = re.split(r"(?<=_)", str(code.text))
                    for word in words:
                        SubElement(code, "wbr").tail = AtomicString(word)
            heads = ["".join(cell.itertext()) for cell in table.iter("th")]
            rows = [list(row) for row in table.iter("tr")][1:]
            if any(len("".join(row[0].itertext())) > LONGEST_KEY for row in rows):
                table.set("data-phrases", "")
            if any(len("".join(cell.itertext())) > LONG_CELL for row in rows for cell in row):
                table.set("data-long", "")
                for row in rows:
                    for cell, head in zip(row, heads, strict=True):
                        cell.set("data-head", head)


class _Tables(Extension):  # type: ignore[misc]
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (Markdown's name)
        md.treeprocessors.register(_Heads(md), "heads", 5)  # after those that read the cells


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let Markdown look at tables, and have the version on every page: each release has its own edition."""
    config.markdown_extensions.append(_Tables())
    config.site_name = f"dicomgate {__version__}"
    config.copyright = f"This is the edition of version {__version__}; each release has its own in its archive."
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is not written in docs/: the pages beside it, and the keys of every authenticator."""
    for name, there in ELSEWHERE.items():
        files.append(File.generated(config, there, content=(ROOT / name).read_text("utf-8")))
    files.append(File.generated(config, "reference/keys.md", content=keys()))
    for chart in [file.src_uri for file in files if file.src_uri.startswith("performance/")]:
        for number, part in enumerate(chart_parts.parts((ROOT / "docs" / chart).read_text("utf-8")), 1):
            files.append(File.generated(config, _part_of(chart, number), content=part.svg))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page as Python's Markdown is to read it."""
    if page.file.src_uri in FOUND:
        boost = FOUND[page.file.src_uri]
        page.meta["search"] = {"boost": boost} if boost else {"exclude": True}
    if page.file.src_uri in ELSEWHERE.values():
        markdown = _LINK.sub(lambda link: f"]({ELSEWHERE.get(link[1], link[1])}{link[2] or ''})", markdown)
    for name, there in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{name})", f"]({there})")
    if page.file.src_uri == "index.md":
        page.meta["hide"] = ["navigation", "toc"]
        markdown = _BUTTONS.sub(_buttons, markdown)
    markdown = _NOTE.sub(r"\1", markdown)
    markdown = _TEXT.sub(_drawing, markdown)
    markdown = _CHART.sub(_in_parts, markdown)
    markdown = _PICTURE.sub(lambda image: f'<div class="picture">{_svg(image[1])}</div>', markdown)
    markdown = _ROW.sub(lambda row: _CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0]), markdown)
    return _MERMAID.sub(lambda block: machine_drawing.drawn(block[1]), markdown)


def _drawing(block: re.Match[str]) -> str:
    """Lines that are too long for a screen are continued below, but not where columns are drawn with spaces."""
    return f"```{{.text .drawing}}\n{block[1]}```" if _COLUMNS.search(block[1]) else block[0]


def _buttons(line: re.Match[str]) -> str:
    """A line of links alone: what to do first."""
    first, *others = line[0].split(" · ")
    return " ".join((f"{first}{{ .md-button .md-button--primary }}", *(f"{one}{{ .md-button }}" for one in others)))


def _svg(name: str) -> str:
    """A picture as a part of the page, so that its colours are the page's."""
    return "".join(line.strip() for line in (ROOT / "docs" / name).read_text("utf-8").splitlines())


def _in_parts(image: re.Match[str]) -> str:
    """A chart of `bench` as an image for each of its parts."""
    shown = [
        f'<img alt="{image[1]}" src="{_part_of(image[2], number)}" style="aspect-ratio: {width:g} / {height:g}">'
        for number, (width, height, _) in enumerate(chart_parts.parts((ROOT / "docs" / image[2]).read_text("utf-8")), 1)
    ]
    return f'<div class="chart">{"".join(shown)}</div>'


def _part_of(chart: str, number: int) -> str:
    return f"{chart.removesuffix('.svg')}-{number}.svg"


KEYS = """\
# Keys of each authenticator

Made from the authenticators that were installed when this site was built; `dicomgate plugins NAME` prints the same of
those that you have. The keys that every authenticator has are in [configuration](../configuration.md#authenticator).
"""


def keys() -> str:
    """The page with the keys of every authenticator that is installed here, from their signatures."""
    return "\n".join([KEYS, *(line for name in discovery.installed() for line in _keys_of(name))])


def _keys_of(name: str) -> Iterator[str]:
    yield from ("", f"## {name}", "")
    try:
        factory = discovery.find(name)
    except PluginError:
        page = name if (ROOT / "docs" / f"{name}.md").exists() else "configuration"
        yield f"What it needs was not installed when this site was built. [Its page](../{page}.md) has the keys."
        return
    yield discovery.description(factory)
    said = field_docstrings(factory)
    heads = ("key", "type", "default", *(("meaning",) if said else ()))
    yield from ("", f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |")
    for option in discovery.options(factory):
        default = "required" if option.required else "none" if option.default == "none" else f"`{option.default}`"
        cells = (f"`{option.name}`", option.type, default, said.get(option.name, "").replace("|", "\\|"))
        yield f"| {' | '.join(cells[: len(heads)])} |"
