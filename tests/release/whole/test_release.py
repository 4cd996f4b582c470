"""The release in dist/ as a hospital gets it: made again from its commit, verified, and read by a scanner's eyes.

`make release-test` runs this, after `make release`. The second time everything differs that must not matter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cyclonedx.schema
import fastjsonschema
import pytest

from dicomgate.testing.pages import ROOT
from release.tree import VERSION, is_changed

RELEASE = ROOT / "dist" / f"dicomgate-{VERSION}"
SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif("DICOMGATE_RELEASE_TEST" not in os.environ, reason="takes minutes: make release-test"),
]


def test_every_file_is_what_the_sums_say() -> None:
    subprocess.run(["sha256sum", "--quiet", "--strict", "--check", "SHA256SUMS"], cwd=RELEASE, check=True)
    there = {str(path.relative_to(RELEASE)) for path in RELEASE.rglob("*") if path.is_file()}
    named = {line.split("  ")[1] for line in (RELEASE / "SHA256SUMS").read_text("utf-8").splitlines()}
    assert there - named <= {"SHA256SUMS", "SHA256SUMS.sig"}


@pytest.mark.skipif(is_changed(), reason="the files here are not those of the commit")
def test_the_same_commit_gives_the_same_bytes(tmp_path: Path) -> None:
    again, temporary = tmp_path / "elsewhere", tmp_path / "tmp"
    temporary.mkdir()
    subprocess.run(["git", "clone", "--quiet", ROOT, again], check=True)
    environment = os.environ | {"TMPDIR": str(temporary), "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    made = subprocess.run([sys.executable, "-m", "release"], cwd=again, env=environment, umask=0o077, check=False)
    assert made.returncode == 0
    sums = (again / "dist" / RELEASE.name / "SHA256SUMS").read_text("utf-8")
    assert sums.splitlines() == (RELEASE / "SHA256SUMS").read_text("utf-8").splitlines()


def test_the_bill_of_materials_is_one() -> None:
    schema = json.loads((SCHEMAS / "bom-1.6.SNAPSHOT.schema.json").read_text("utf-8"))

    def beside(address: str) -> object:
        return json.loads((SCHEMAS / address.rpartition("/")[2]).read_text("utf-8"))

    validate = fastjsonschema.compile(schema, handlers={"http": beside}, use_default=False)
    bill = json.loads((RELEASE / "sbom.cdx.json").read_text("utf-8"))
    validate(bill)
    inside = {one["name"] for component in bill["components"] for one in component.get("components", ())}
    assert {"openssl", "libxml2", "libxmlsec1", "libpq"} <= inside
    bill["components"][0]["type"] = "nonsense"
    with pytest.raises(fastjsonschema.JsonSchemaValueException, match=r"type must be one of"):
        validate(bill)
