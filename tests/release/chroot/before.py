"""The version before, 0.1.0: the last commit before rights, pools and the status page came, made into a release.

Its own wheels, installer and unit are that commit's. The packages of others are today's, which it takes as well; there
was no Debian package of it, so it gets today's maintainer scripts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from release import bundle, debian, sums
from release.tree import PYTHON

ROOT = Path(__file__).resolve().parents[3]
COMMIT, VERSION = "ad81b2dd4f5b9a69841bda9d428bd89a94a0d0c4", "0.1.0"


def release_before(release: Path, folder: Path) -> Path:
    """Make 0.1.0's bundle and Debian package in a folder, once, with the packages of others that a release has."""
    if folder.exists():
        return folder
    begun = folder.with_name(f"{folder.name}.begun")
    shutil.rmtree(begun, ignore_errors=True)
    sources = begun / "sources"
    sources.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", COMMIT], stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x", "-C", sources], input=archive, check=True)
    unpacked = begun / f"dicomgate-{VERSION}"
    _collect_wheels(sources, release, unpacked / "wheels")
    bundle.write_requirements(unpacked / "wheels", unpacked / "requirements.txt")
    shutil.copytree(sources / "deploy", unpacked / "deploy")
    shutil.move(unpacked / "deploy" / "bundle" / "install.sh", unpacked / "install.sh")
    (unpacked / "PYTHON").write_text(f"{PYTHON}\n", "ascii")
    sums.write(unpacked)
    debian.make(unpacked / "wheels", begun, VERSION, sources / "deploy")
    shutil.rmtree(sources)
    begun.rename(folder)
    return folder


def _collect_wheels(sources: Path, release: Path, folder: Path) -> None:
    (today,) = release.glob("dicomgate-*-cp*.tar.gz")
    with tarfile.open(today) as archive:
        wheels = [member for member in archive.getmembers() if member.name.endswith(".whl")]
        for member in wheels:
            member.name = Path(member.name).name
        own = {member.name.split("-")[0] for member in wheels if member.name.startswith("dicomgate")}
        others = [member for member in wheels if not member.name.startswith("dicomgate")]
        archive.extractall(folder, others, filter="data")
    plugins = [path.parent for path in sources.glob("plugins/*/pyproject.toml")]
    # Not those whose libraries need a compiler, where today's release lacks them.
    for project in (sources, *(plugin for plugin in plugins if f"dicomgate_{plugin.name}" in own)):
        command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(command, cwd=project, check=True, capture_output=True)
