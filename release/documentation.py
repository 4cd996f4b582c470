"""The documentation as a site in an archive, to be read from the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .archive import pack
from .tree import ROOT, VERSION, epoch

NAME = f"dicomgate-{VERSION}-documentation"


def make(target: Path) -> Path:
    """Build the site, and put it into the folder `target` as an archive. Returns the archive's path."""
    archive = target / f"{NAME}.tar.gz"
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "SOURCE_DATE_EPOCH": str(epoch())}
    with tempfile.TemporaryDirectory() as temporary:
        site = Path(temporary) / NAME
        build: list[str | Path] = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", site]
        subprocess.run(build, cwd=ROOT, env=environment, check=True, stdout=sys.stderr)
        pack(site, archive)
    return archive
