"""The bundle: made, unpacked and installed without an index, and its demonstration is right."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from dicomgate.testing.pages import DOCS, PAGES, ROOT, blocks, name, text
from release import bundle, licences, wheels
from release.closure import WANTED, closure, pinned

pytestmark = pytest.mark.timeout(300)
OFFLINE = {
    "PATH": os.environ["PATH"],
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_NO_INDEX": "1",
    "https_proxy": "http://127.0.0.1:9",  # nobody listens there: who asks a network fails
    "http_proxy": "http://127.0.0.1:9",
}


def run(*command: object, where: Path) -> str:
    """What an installed program says, without an index and without this environment."""
    told = subprocess.run([*map(str, command)], cwd=where, env=OFFLINE | {"HOME": str(where)}, capture_output=True,
                          text=True, timeout=240)  # fmt: skip
    assert told.returncode == 0, told
    return told.stdout + told.stderr


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without the plugins that need a compiler, which takes a minute. `make release-test` has them."""
    folder = tmp_path_factory.mktemp("bundle")
    found = closure(*WANTED)
    try:
        wheels.collect(folder / "wheels", set(found))
    except SystemExit as failed:
        if re.search("No matching distribution|Connection|Temporary failure", str(failed)):
            pytest.skip("no package index can be reached to make a bundle from")
        raise
    archive = bundle.make(folder / "wheels", found, folder)
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / bundle.NAME


def test_it_is_installed_offline_and_works(unpacked: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "where root happens to be"
    hostile.mkdir(mode=0o755)
    for module in ("venv", "ensurepip", "pip"):
        (hostile / f"{module}.py").write_text("raise SystemExit('not from this folder')")
    before = os.umask(0)
    try:
        told = run(unpacked / "install.sh", "--root", tmp_path, where=hostile)
    finally:
        os.umask(before)
    assert "systemctl daemon-reload" in told
    current = tmp_path / "opt" / "dicomgate" / "current"
    assert [path for path in tmp_path.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022] == []
    assert (tmp_path / "etc" / "systemd" / "system" / "dicomgate.service").exists()
    assert str((tmp_path / "usr" / "local" / "bin" / "dicomgate").readlink()) == "/opt/dicomgate/current/bin/dicomgate"
    release = str(current.readlink())
    dicomgate = current / "bin" / "dicomgate"
    assert release in run(dicomgate, "--version", where=tmp_path)
    assert "jwt" in run(dicomgate, "plugins", where=tmp_path)
    assert "ok" in run(dicomgate, "demo", where=tmp_path)
    run(unpacked / "install.sh", "--root", tmp_path, where=unpacked)  # an upgrade to the same version changes nothing
    assert str(current.readlink()) == release


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="an example of Python 3.11")
def test_it_is_for_every_patch_release_of_this_python() -> None:
    """Debian 12 has Python 3.11.2: redis needs async-timeout there, and no more from 3.11.3 on."""
    assert closure("redis") == {"redis": {"async-timeout"}, "async-timeout": set()}
    (entry,) = pinned({"async-timeout"})
    assert re.match(r"async-timeout==[\d.]+ \\\n    --hash=sha256:", entry)


def test_the_bill_of_materials_names_every_wheel_with_its_hash(unpacked: Path) -> None:
    bom = json.loads((unpacked / "sbom.cdx.json").read_text("utf-8"))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    hashes = {one["hashes"][0]["content"] for one in bom["components"]}
    sums = dict(line.split()[::-1] for line in (unpacked / "SHA256SUMS").read_text("ascii").splitlines())
    assert hashes == {value for path, value in sums.items() if path.startswith("wheels/")}
    of = {one["name"]: one for one in bom["components"]}
    assert {"dicomgate", "dicomgate-jwt", "pydicom", "cryptography"} <= of.keys()
    assert {"libxml2", "libxslt"} == {one["name"] for one in of["lxml"]["components"]}
    assert {"openssl", "pyo3"} <= {one["name"] for one in of["cryptography"]["components"]}
    needs = {one["ref"].partition("@")[0]: one.get("dependsOn", []) for one in bom["dependencies"]}
    assert any(ref.startswith("pkg:pypi/pyjwt@") for ref in needs["pkg:pypi/dicomgate-jwt"])


def test_every_licence_is_there_with_its_text(unpacked: Path) -> None:
    table = (unpacked / "licences" / "README.md").read_text("utf-8").partition("## What is compiled into them")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == len(list((unpacked / "wheels").iterdir()))
    assert ["psycopg", "LGPL-3.0-only"] in [[name, terms] for name, _, terms, _ in rows]
    texts = [unpacked / "licences" / link for *_, cell in rows for link in re.findall(r"\]\((.*?)\)", cell)]
    assert len(texts) >= len(rows)
    assert [path for path in texts if not path.stat().st_size] == []


def test_a_wheel_without_a_licence_is_not_released(unpacked: Path, tmp_path: Path) -> None:
    (wheel,) = (unpacked / "wheels").glob("h11-*.whl")
    copy = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(copy, "w") as target:
        for name in source.namelist():
            if "LICENSE" not in name:
                target.writestr(name, source.read(name))
    assert licences.of(wheel).terms == "MIT"
    with pytest.raises(ValueError, match="has no text of it"):
        licences.of(copy)


def test_the_unit_of_the_page_is_the_one_that_is_installed() -> None:
    (unit,) = [block.text for block in blocks(DOCS / "service.md", "ini") if "[Unit]" in block.text]
    assert unit.strip() == (ROOT / "deploy" / "systemd" / "dicomgate.service").read_text("utf-8").strip()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_installs_a_package_that_is_on_no_index(page: Path) -> None:
    assert re.findall(r"pip install [^`\n]*(?<![./\w-])dicomgate[\w\[-]*", text(page)) == []


def test_no_message_installs_a_package_that_is_on_no_index() -> None:
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "plugins").glob("*/src/**/*.py")]
    told = {
        str(path.relative_to(ROOT)): re.findall(r"pip install '?dicomgate[\w\[{-]*", text(path)) for path in sources
    }
    assert {path: found for path, found in told.items() if found} == {}
