"""One archive to install dicomgate from, on a machine without a package index: `make bundle`.

It has wheels of dicomgate, its plugins and everything that they need, for this Python and this platform, with their
hashes; the bill of materials and the licences; the manual pages; what deploy/ has; and install.sh, which needs nothing
else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from . import licences, sbom, sums
from .archive import pack
from .tree import PYTHON, ROOT, VERSION
from .wheels import name_and_version

NAME = f"dicomgate-{VERSION}-cp{PYTHON.replace('.', '')}-{re.sub(r'[^0-9a-z]', '_', sysconfig.get_platform())}"
_OWN_FILES = ("deploy", "LICENSE", "README.md", "CHANGELOG.md")


def write_requirements(wheels: Path, path: Path) -> None:
    """Write every wheel with its hash, for `pip install --no-index --require-hashes`."""
    lines = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = name_and_version(wheel)
        lines.append(f"{name}=={version} --hash=sha256:{sums.sha256(wheel)}\n")
    path.write_text("".join(lines), "utf-8")


def make(wheels: Path, needs: dict[str, set[str]], target: Path) -> Path:
    """Make the bundle of a folder of wheels, and put it into the folder `target`. Returns the archive's path."""
    archive = target / f"{NAME}.tar.gz"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / NAME
        shutil.copytree(wheels, folder / "wheels")
        write_requirements(wheels, folder / "requirements.txt")
        sbom.write(wheels, needs, folder / "sbom.cdx.json")
        licences.write(wheels, folder / "licences")
        subprocess.run([sys.executable, ROOT / "scripts" / "man_pages.py", folder / "man"], check=True)
        for own in _OWN_FILES:
            copy = shutil.copytree if (ROOT / own).is_dir() else shutil.copy2
            copy(ROOT / own, folder / own)
        (folder / "PYTHON").write_text(f"{PYTHON}\n", "ascii")
        shutil.move(folder / "deploy" / "bundle" / "install.sh", folder / "install.sh")
        (folder / "deploy" / "bundle").rmdir()
        sums.write(folder)
        pack(folder, archive)
    return archive
