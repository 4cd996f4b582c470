"""The documents as a whole: links, words, decisions, and what is made from the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from docs.pages import DOCS, PAGES, ROOT, anchors, blocks, name, prose, rows, text

from dicomgate.wire.refusal import Abort, AssociateReject, decode_refusal

DECISIONS = DOCS / "decisions.md"
ARCHITECTURE = DOCS / "architecture.md"
each_page = pytest.mark.parametrize("page", PAGES, ids=name)


@each_page
def test_links_hold(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)\)", text(ROOT / "README.md")))
    assert linked == {page.name for page in DOCS.glob("*.md")}


HOSTS = {"keepachangelog.com", "semver.org", "login.microsoftonline.com"}
"""The hosts that a document may name. No package index is among them: which one is the reader's own affair."""


@each_page
def test_no_page_names_an_index_or_a_machine(page: Path) -> None:
    named = set(re.findall(r"https?://([\w.-]+)", text(page)))
    assert {host for host in named if not host.endswith(".hospital.example")} <= HOSTS
    assert not re.search(r"(?:^|[^\w.])/(?:home|root|Users|work|tmp|srv)/", text(page))
    assert "index-url" not in text(page)


def test_every_decision_is_claimed_by_a_test() -> None:
    documented = [row[0] for row in rows(text(DECISIONS))]
    assert documented == [f"D{number}" for number in range(1, len(documented) + 1)]
    claims: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        if "node_modules" not in path.parts:
            for line in re.findall(r"^# decision: (.+)$", text(path), re.MULTILINE):
                claims |= {claim.strip() for claim in line.split(",")}
    assert claims - set(documented) == set(), "claimed, and not in docs/decisions.md"
    assert set(documented) - claims == set(), "in docs/decisions.md, and claimed by no test"


def test_the_codes_in_the_documents_are_the_standards() -> None:
    found = 0
    for page in PAGES:
        for result, source, reason in re.findall(r"RJ (\d),(\d),(\d)", text(page)):
            assert "reserved" not in str(AssociateReject(int(result), int(source), int(reason))), name(page)
            found += 1
        for source, reason in re.findall(r"A-ABORT (\d),(\d)", text(page)):
            assert "reserved" not in str(Abort(int(source), int(reason))), name(page)
            assert decode_refusal(Abort(int(source), int(reason)).encode()) == Abort(int(source), int(reason))
    assert found > 20


def handshake_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("handshake_tables", ROOT / "scripts" / "handshake_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_handshakes_tables_are_those_of_the_code() -> None:
    script = handshake_tables()
    page = text(ARCHITECTURE)
    assert page == script.rewritten(page), "run: .venv/bin/python scripts/handshake_tables.py"
    assert "| `decided` |" in page
    assert "ANSWER --> RELAYING: upstream_data" in page
    changed = page.replace("ANSWER --> RELAYING", "REQUEST --> RELAYING")
    assert script.rewritten(changed) == page
    with pytest.raises(ValueError, match="moves"):
        script.rewritten(page.replace("<!-- end moves -->", ""))


def test_the_drawing_of_the_house_has_every_file() -> None:
    house = ROOT / "src" / "dicomgate"
    drawn, folder = set(), ""
    tree = next(block.text for block in blocks(ARCHITECTURE, "text") if block.text.startswith("src/dicomgate/"))
    for line in tree.splitlines()[1:]:
        indent, entry = re.match(r"( *)(\S+)", line).groups()
        if entry.startswith("plugins/"):
            continue
        folder = (entry if entry.endswith("/") else "") if len(indent) == 2 else folder
        drawn.add(entry if len(indent) == 2 else folder + entry)
    folders = {path.parent.name for path in house.glob("*/*.py")}
    inside = {entry.split("/")[0] for entry in drawn if "/" in entry and not entry.endswith("/")}
    files = {path.name for path in house.glob("*.py")}
    files |= {f"{path.parent.name}/{path.name}" for path in house.glob("*/*.py") if path.parent.name in inside}
    files = {file for file in files if file == "__init__.py" or not file.endswith("__init__.py")}
    assert drawn - {f"{folder}/" for folder in folders} - {"testing/"} == files - {"__main__.py"}
    assert {f"{folder}/" for folder in folders} <= drawn
