"""One version in all places that name it."""

from __future__ import annotations

import re
import tomllib

from dicomgate.testing.pages import DOCS, ROOT
from release.tree import VERSION, projects


def test_the_plugins_have_the_version_of_the_gateway() -> None:
    of = {one.name: tomllib.loads((one / "pyproject.toml").read_text("utf-8"))["project"] for one in projects()}
    assert len(of) > 10
    assert {
        name: project["version"] for name, project in of.items() if project.get("version", VERSION) != VERSION
    } == {}


def test_the_changelog_begins_with_it() -> None:
    first = re.search(r"^## \[(.*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert first
    assert first[1] == VERSION


def test_file_names_and_images_have_it() -> None:
    files = [*DOCS.rglob("*.md"), *(path for path in (ROOT / "deploy").rglob("*") if path.is_file())]
    found = {path.name: set(re.findall(r"\bdicomgate[-:_](\d+\.\d+\.\d+)", path.read_text("utf-8"))) for path in files}
    assert {name: versions for name, versions in found.items() if versions - {VERSION}} == {}
    assert found["install.md"] == found["containers.md"] == {VERSION}
