"""SHA256SUMS of a folder, and its signature."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

NAME = "SHA256SUMS"
SIGNATURE = f"{NAME}.sig"
KEY = "DICOMGATE_SIGNING_KEY"
"""The environment variable that names the key: a private one, or the public one of a key that ssh-agent has."""


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(folder: Path) -> None:
    """Write the hash of every file below a folder, for `sha256sum --check`, and its signature if there is a key.

    The signature is one of ssh-keygen(1), for the namespace "dicomgate"; one by an Ed25519 key is the same each time.
    """
    sums, signature = folder / NAME, folder / SIGNATURE
    signature.unlink(missing_ok=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != sums)
    sums.write_text("".join(f"{sha256(path)}  {path.relative_to(folder)}\n" for path in files), "utf-8")
    if key := os.environ.get(KEY):
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "dicomgate", "-f", key, sums], check=True)  # noqa: S607
