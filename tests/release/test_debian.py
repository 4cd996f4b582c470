"""The Debian package as an archive: what is in it, the same each time. `make release-test` installs it."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from release import debian
from release.tree import PYTHON, ROOT, VERSION

pytestmark = pytest.mark.skipif(not debian.can_be_made(), reason="dpkg-deb is not installed")
PLACE = "/opt/dicomgate/current"


def wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    """A wheel as the standard wants it: https://packaging.python.org/specifications/binary-distribution-format/."""
    info = f"{name}-1.0.dist-info"
    files |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD,,\n"
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content.encode())}\n"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(path, content)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the package puts into a machine, with its control files in DEBIAN. It was made twice."""
    folder = tmp_path_factory.mktemp("package")
    wheel(
        folder,
        "gate",
        {"gate.py": "", "gate-1.0.dist-info/entry_points.txt": "[console_scripts]\ndicomgate = gate:run\n"},
    )
    wheel(folder, "pip", {"pip.py": ""})
    made = []
    for target in (folder / "once", folder / "again"):
        target.mkdir()
        made.append(debian.make(folder, target))
    assert [path.name for path in made] == [debian.NAME] * 2
    assert made[0].read_bytes() == made[1].read_bytes()
    subprocess.run(["dpkg-deb", "--raw-extract", made[0], folder / "tree"], check=True)
    return folder / "tree"


def test_the_unit_and_the_command_start_what_the_package_has(unpacked: Path) -> None:
    unit = (unpacked / "lib" / "systemd" / "system" / "dicomgate.service").read_text()
    assert f"ExecStart={PLACE}/bin/dicomgate serve" in unit
    assert str((unpacked / "usr" / "bin" / "dicomgate").readlink()) == f"{PLACE}/bin/dicomgate"
    home = unpacked / "opt" / "dicomgate" / "current"
    assert str(home.readlink()) == VERSION
    assert (home / "bin" / "dicomgate").read_text().startswith(f"#!/opt/dicomgate/{VERSION}/bin/python\n")
    assert str((home / "bin" / "python").readlink()) == f"/usr/bin/python{PYTHON}"
    assert [path.name for path in (home / "lib" / f"python{PYTHON}" / "site-packages").glob("*.py")] == ["gate.py"]


def test_its_configuration_is_debians_affair_and_nothing_else_is(unpacked: Path) -> None:
    assert (unpacked / "DEBIAN" / "conffiles").read_text() == "/etc/logrotate.d/dicomgate\n"
    told = (unpacked / "DEBIAN" / "control").read_text()
    assert f"Version: {VERSION}-1\n" in told
    assert f"Depends: python{PYTHON}, adduser, libc6 (>= " in told
    assert "@" not in told.replace("maintainers@", "")
    assert "Recommends" not in told  # nothing here needs a library of Debian's


@pytest.mark.parametrize("script", ["preinst", "postinst", "prerm", "postrm"])
def test_the_maintainer_scripts_are_a_shells(unpacked: Path, script: str) -> None:
    path = unpacked / "DEBIAN" / script
    assert path.stat().st_mode & 0o777 == 0o755
    assert "@" not in path.read_text()
    shell = shutil.which("dash") or "sh"
    assert subprocess.run([shell, "-n", path], capture_output=True, check=False).stderr == b""


def test_files_that_are_gone_already_are_no_reason_to_keep_the_package(unpacked: Path) -> None:
    script = (unpacked / "DEBIAN" / "prerm").read_text().replace("/opt/dicomgate", f"{unpacked}/nowhere")
    subprocess.run(["sh", "-c", script, "prerm", "upgrade"], check=True)


def test_the_rotation_is_the_pages(unpacked: Path) -> None:
    (rotation,) = [part for part in (ROOT / "docs" / "operations.md").read_text().split("```") if "rotate 90" in part]
    shipped = (unpacked / "etc" / "logrotate.d" / "dicomgate").read_text()
    lines = {line.strip() for line in rotation.splitlines()} - {"", "text"}
    assert {line for line in lines if line not in shipped} <= {"/var/log/dicomgate/audit.jsonl {"}
