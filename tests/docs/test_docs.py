"""The documents as a whole: links, words, decisions, and what is made from the code."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from dicomgate.testing.pages import DOCS, PAGES, ROOT, anchors, name, prose, rows, text
from dicomgate.wire.reject_abort import Abort, AssociateReject, decode_refusal

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


def test_two_links_lead_from_the_readme_to_every_page() -> None:
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", text(ROOT / "README.md")))
    beyond = {name for page in linked for name in re.findall(r"\]\(([\w-]+\.md)", text(DOCS / page))}
    assert linked | beyond == {page.name for page in DOCS.glob("*.md")}


HOSTS = {
    *("keepachangelog.com", "semver.org", "login.microsoftonline.com", "sts.windows.net", "schemas.microsoft.com"),
    *("schemas.xmlsoap.org", "cognito-idp.eu-central-1.amazonaws.com"),
    # Sources of what is said of others.
    *("dicom.nema.org", "docs.haproxy.org", "dcm4chee-arc-cs.readthedocs.io", "github.com", "orthanc.uclouvain.be"),
    *("pydicom.github.io", "www.stunnel.org"),
}
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


def script_named(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_machines_tables_are_those_of_the_code() -> None:
    script = script_named("machine_tables")
    page = text(ARCHITECTURE)
    assert page == script.rewritten(page), "run: .venv/bin/python scripts/machine_tables.py"
    assert "| `decided` |" in page
    for move in ("ANSWER --> RELAYING: upstream_data", "RELEASING --> RELEASED: found"):
        assert move in page
        assert script.rewritten(page.replace(move, "REQUEST --> RELAYING")) == page
    for marker in ("<!-- end handshake moves -->", "<!-- begin established states -->\n"):
        with pytest.raises(ValueError, match=r"moves|states"):
            script.rewritten(page.replace(marker, ""))


def test_the_maps_of_the_house_are_made_from_its_modules() -> None:
    script = script_named("house_map")
    again = "run: .venv/bin/python scripts/house_map.py"
    assert text(ARCHITECTURE) == script.rewritten_page(text(ARCHITECTURE)), again
    for path in [script.HOUSE / "__init__.py", *script.HOUSE.glob("*/__init__.py")]:
        assert text(path) == script.rewritten(text(path), path.parent), f"{path}: {again}"
    assert "user_identity" in script.package_map(script.HOUSE / "wire")
