"""The checkout that a release is made of: its version, its projects, the time of its commit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dicomgate import __version__ as VERSION  # noqa: N812 (a constant here)

__all__ = ["PYTHON", "ROOT", "VERSION", "commit", "epoch", "is_changed", "project_name", "projects"]

ROOT = Path(__file__).resolve().parents[1]
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
"""What a release is for, as in `python3.11`."""


def epoch() -> int:
    """The time of the commit, in seconds since 1970, or what SOURCE_DATE_EPOCH says.

    https://reproducible-builds.org/specs/source-date-epoch/
    """
    given = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct")
    if not given:
        raise SystemExit("release: this is not a git checkout: set SOURCE_DATE_EPOCH to the release's time")
    return int(given)


def commit() -> str:
    """The commit, in hexadecimal; empty if this is not a git checkout."""
    return _git("rev-parse", "HEAD")


def is_changed() -> bool:
    """Whether there are files here that differ from the commit."""
    return bool(_git("status", "--porcelain"))


def _git(*arguments: str) -> str:
    try:
        asked = subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return ""
    return asked.stdout.strip()


def projects() -> list[Path]:
    """The folders of dicomgate and its plugins."""
    return [ROOT, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]


def project_name(project: Path) -> str:
    """The name of the distribution that a folder makes."""
    return "dicomgate" if project == ROOT else f"dicomgate-{project.name}"
