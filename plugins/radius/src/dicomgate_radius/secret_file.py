"""The secret that is shared with the servers, from a file of its own.

Rule 1: a file that everybody may read is no secret, and one that everybody may put another in place of is no authority.
Rule 2: messages name the path, never the content.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dicomgate import ConfigError

LONGEST = 1024
SHORTEST_GOOD = 16
"""RFC 2865 3: "It is preferred that the secret be at least 16 octets." """


def read_secret(path: Path) -> bytes:
    """The content of the file, without the line end behind it. Raises ConfigError."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{path}: this is not a regular file")
            if mode & (stat.S_IROTH | stat.S_IWOTH):
                raise ConfigError(f"{path}: everybody may read or write this file; chmod o-rw")
            data = file.read(LONGEST + 3)
        for folder in {path.parent, Path(os.path.realpath(path)).parent}:
            mode = folder.stat().st_mode
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                raise ConfigError(f"{path}: everybody may write the folder {folder}; chmod o-w")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    secret = data.removesuffix(b"\n").removesuffix(b"\r")
    if not 1 <= len(secret) <= LONGEST or any(byte < 0x20 for byte in secret):
        raise ConfigError(f"{path}: must be one line of 1 to {LONGEST} bytes, without control characters")
    return secret


def _open_at_once(path: str, flags: int) -> int:
    # Opening a FIFO would wait for somebody to write into it.
    return os.open(path, flags | os.O_NONBLOCK)
