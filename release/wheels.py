"""Wheels: our own, and those of the lock files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename

from .closure import pinned
from .tree import epoch, project_name, projects

_PIP: tuple[str | Path, ...] = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
# Without debugging information, and without what this Python was linked with itself: a Python in somebody's home would
# write that folder into each library as the first place to look for others.
_COMPILER = {"CFLAGS": "-g0", "LDSHARED": "cc -shared"}


def build(folder: Path, names: set[str], *targets: str) -> None:
    """Build our own distributions into a folder: `targets` are "wheel" and "sdist"."""
    chosen = [part for target in targets for part in ("-t", target)]
    for project in projects():
        if project_name(project) in names:
            command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", *chosen, "-d", folder]
            subprocess.run(command, cwd=project, env=_environment(), check=True, stdout=sys.stderr)


def fetch(folder: Path, names: set[str]) -> None:
    """Fetch the wheels of what others made, by the hashes of the lock files, into a folder.

    What has no wheel is fetched as its sources and built here: without pip's cache, in which an earlier build may be,
    with the tools of the lock file, and without debugging information, which names the temporary folder of the build.
    Raises SystemExit with what pip says.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
        lock.write("\n".join(pinned(names)) + "\n")
        lock.flush()
        alone = ["--no-deps", "--no-build-isolation"]
        download = [*_PIP, "download", *alone, "--require-hashes", "-r", lock.name, "-d", folder]
        got = subprocess.run(download, env=_environment(), stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
        if got.returncode:
            raise SystemExit(f"release: pip cannot fetch what the lock files have:\n{got.stderr}")
    for sources in [path for path in folder.iterdir() if path.suffix != ".whl"]:
        make = [*_PIP, "wheel", *alone, "--no-index", "--no-cache-dir", "-w", folder, sources]
        # umask: setuptools writes the modes of its files into the wheel.
        subprocess.run(make, env=_environment() | _COMPILER, umask=0o022, check=True, stdout=sys.stderr)
        sources.unlink()


def collect(folder: Path, names: set[str]) -> None:
    """Fill a new folder with the wheels of these distributions, ours and others'."""
    folder.mkdir(parents=True)
    own = {name for name in names if name == "dicomgate" or name.startswith("dicomgate-")}
    fetch(folder, names - own)
    build(folder, own, "wheel")


def name_and_version(wheel: Path) -> tuple[str, str]:
    """What a wheel's file name says: the canonical name and the version."""
    name, version, *_ = parse_wheel_filename(wheel.name)
    return canonicalize_name(name), str(version)


def _environment() -> dict[str, str]:
    return os.environ | {"SOURCE_DATE_EPOCH": str(epoch())}
