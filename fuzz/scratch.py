"""A folder for the files that a target needs."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp


@cache
def scratch(name: str) -> Path:
    """The folder of this name, until the process ends."""
    folder = Path(mkdtemp(prefix=f"fuzz-{name}-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    return folder
