"""The documentation as a site: built strictly and without a network, whole, and in need of nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

import dicomgate
import dicomgate.testing
from dicomgate.association.transitions import ESTABLISHED, HANDSHAKE, Transitions
from dicomgate.testing.pages import DOCS, ROOT

pytestmark = pytest.mark.skipif(
    not all(find_spec(name) for name in ("mkdocs", "material", "mkdocstrings_handlers")),
    reason="the documentation's builder is not installed: mkdocs, mkdocs-material, mkdocstrings[python]",
)

_LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "use": "href"}
_BUILD = """
import socket, sys

def refuse(*_):
    print("NETWORK", file=sys.stderr)
    raise OSError("no network here")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli()
"""


class Html(HTMLParser):
    """What a page is made of: its anchors, where it links, what it loads, its paragraphs and the code in its tables."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "__toc", "__drawer", "__search"}
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.classes: set[str] = set()
        self.text: dict[str, list[str]] = {"p": [], "td": [], "li": []}
        self._open: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if name in values and tag != "meta"}
        self.classes |= set(values.get("class", "").split())
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        if tag in _LOADS and _LOADS[tag] in values:
            self.loaded.add(values[_LOADS[tag]])
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.add(values["href"])
        if tag in self.text:
            self._open.append(tag)
            self.text[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            del self._open[self._open.index(tag) :]

    def handle_data(self, data: str) -> None:
        if self._open:
            self.text[self._open[-1]][-1] += data


def build(to: Path, configuration: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, "-c", _BUILD, "build", "--strict", "-f", configuration, "-d", to]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(folder)
    assert built.returncode == 0, built.stderr
    assert not re.search("WARNING|ERROR|NETWORK|Traceback", built.stderr), built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Html]:
    return {path: Html(path) for path in site.rglob("*.html")}


def broken(pages: dict[Path, Html], site: Path) -> list[str]:
    """The links inside of the site that lead nowhere."""
    found = []
    for path, page in pages.items():
        for link in page.links | page.loaded:
            address, anchor = urldefrag(link)
            if urlsplit(address).scheme or path.name == "404.html":  # whose links begin at the root
                continue
            there = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path
            if there.is_dir():
                there /= "index.html"
            if not there.is_file() or (there in pages and unquote(anchor) not in pages[there].anchors):
                found.append(f"{path.relative_to(site)}: {link}")
    return found


def test_every_link_and_anchor_holds(site: Path, pages: dict[Path, Html], tmp_path: Path) -> None:
    assert len(pages) > 20
    assert broken(pages, site) == []
    for link in ("nowhere.html", "configuration.html#nowhere", "#nowhere"):
        wrong = site / "wrong.html"
        wrong.write_text(f'<a href="{link}">x</a> <a href="configuration.html#listener">x</a>')
        assert broken({**pages, wrong: Html(wrong)}, site) == [f"wrong.html: {link}"]
        wrong.unlink()


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Html]) -> None:
    loaded = {path for page in pages.values() for path in page.loaded}
    assert any(path.endswith(".css") for path in loaded)
    assert any(path.endswith(".js") for path in loaded)
    assert {path for path in loaded if re.match(r"\w+:|//", path) and not path.startswith("data:")} == set()
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//|@import", sheet.read_text("utf-8")), sheet
    # Material's script fetches mermaid from a content delivery network for a page that has a block of this class.
    assert not any("mermaid" in page.classes for page in pages.values())


def test_the_search_works_from_the_disk(site: Path, pages: dict[Path, Html]) -> None:
    """Where a browser lets a page neither fetch its index nor start a worker: both come as scripts."""
    index = (site / "search" / "search_index.js").read_text("utf-8")
    assert index.startswith("var __index = {")
    assert "A-ASSOCIATE-RJ" in index
    assert all(any(path.endswith("assets/iframe-worker.js") for path in page.loaded) for page in pages.values())


def test_every_chart_is_shown_in_parts(pages: dict[Path, Html], site: Path) -> None:
    """Each part of a chart is an image of its own, so that a narrow screen shows all of it."""
    shown = pages[site / "performance.html"].loaded
    for chart in DOCS.glob("performance/*.svg"):
        parts = len(re.findall(r'<g id="axes_\d+">', chart.read_text("utf-8")))
        drawn = [path for path in shown if re.fullmatch(rf"performance/{chart.stem}-\d+\.svg", path)]
        assert len(drawn) == parts > 1
        for path in drawn:
            part = (site / path).read_text("utf-8")
            assert len(re.findall(r'<g id="axes_\d+">', part)) == 1
            assert set(re.findall(r'href="#(\w+)"', part)) <= set(re.findall(r'id="(\w+)"', part))
    assert "<svg" in (site / "index.html").read_text("utf-8").partition('class="picture"')[2][:20]


def test_every_page_tells_its_version(site: Path, pages: dict[Path, Html]) -> None:
    for path in pages:
        assert f"dicomgate {dicomgate.__version__}</title>" in path.read_text("utf-8"), path
        assert f"the edition of version {dicomgate.__version__};" in path.read_text("utf-8"), path


def test_every_page_is_in_the_navigation(site: Path, pages: dict[Path, Html]) -> None:
    home = {urldefrag(link)[0] for link in pages[site / "index.html"].links}
    written = {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")}
    made = {"contributing.html", "security-policy.html", "changelog.html", "reference/keys.html"}
    assert {str(path.relative_to(site)) for path in pages} - {"404.html"} == written | made
    # Where there are tabs, the home page links to the first page of each; a page, to its neighbours.
    tabs = {link for link in home if link.endswith(".html")} | {"index.html"}
    reached = set(tabs)
    for tab in tabs:
        there = site / tab
        reached |= {
            str((there.parent / urldefrag(link)[0]).resolve().relative_to(site.resolve()))
            for link in pages[there].links
            if not urlsplit(link).scheme and urldefrag(link)[0].endswith(".html")
        }
    assert reached >= written | made


def test_what_github_reads_is_read_here_too(pages: dict[Path, Html]) -> None:
    for path, page in pages.items():
        for text in [text for texts in page.text.values() for text in texts]:
            assert not re.search(r"^(\||```|- |\d+\. |#+ |:::)", text, re.MULTILINE), f"{path.name}: {text}"
            assert "\\|" not in text, f"{path.name}: {text}"


@pytest.mark.parametrize(("number", "ways_out"), [(0, 1), (1, 0)], ids=["handshake", "established"])
def test_both_machines_are_drawn(pages: dict[Path, Html], site: Path, number: int, ways_out: int) -> None:
    drawings = (site / "architecture.html").read_text("utf-8").split('<div class="machine">')[1:]
    assert len(drawings) == 2
    drawn = drawings[number].partition("</div>")[0]
    table: Transitions[Any, Any] = (HANDSHAKE, ESTABLISHED)[number]
    assert "<svg" in drawn
    for state in table:
        assert drawn.count(f">{state.name}</text>") == 1
    moves = sum(len({to for names in row.values() for to in names} - {state}) for state, row in table.items())
    assert drawn.count("marker-end") == moves + 1 + ways_out  # the beginning, and the end of RELAYING
    for name in {name for row in table.values() for name in row}:
        assert name.name.lower() in drawn


def test_the_reference_has_every_name_of_the_front_doors(pages: dict[Path, Html], site: Path) -> None:
    contract = pages[site / "reference" / "contract.html"].anchors
    assert {f"dicomgate.{name}" for name in dicomgate.__all__} <= contract
    kit = pages[site / "reference" / "testing.html"].anchors
    assert {f"dicomgate.testing.{name}" for name in dicomgate.testing.__all__} <= kit


def test_what_is_wrong_stops_the_build(tmp_path: Path) -> None:
    for name in ("docs", "src", "scripts", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE"):
        (tmp_path / name).symlink_to(ROOT / name)
    without_pages = "def on_nav(nav, config, files):\n    [files.remove(one) for one in files.documentation_pages()]\n"
    (tmp_path / "without_pages.py").write_text(without_pages)  # they take most of the time
    ours = (ROOT / "mkdocs.yml").read_text("utf-8").replace("hooks: [", "hooks: [without_pages.py, ")
    (tmp_path / "mkdocs.yml").write_text(ours.replace("quickstart.md", "fastbegin.md"))
    built = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert built.returncode != 0
    assert re.search(r"nav\" configuration:\n  - quickstart.md\n.*fastbegin.md", built.stderr)
    assert "Aborted with 2 warnings" in built.stdout + built.stderr
