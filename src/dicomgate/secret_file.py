"""A secret in a file of its own: a service account's password, a shared secret.

Rule 1: a file that everybody may read is no secret, and one that everybody may put another in place of is no authority.
Rule 2: messages name the path, never the content.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import ConfigError

LONGEST_SECRET = 1024


def read_secret(path: Path) -> bytes:
    """The content of the file, one line without its line end: 1 to 1024 bytes. Raises ConfigError."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{path}: this is not a regular file")
            if mode & (stat.S_IROTH | stat.S_IWOTH):
                raise ConfigError(f"{path}: everybody may read or write this file; chmod o-rw")
            data = file.read(LONGEST_SECRET + 3)
        check_folders(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    secret = data.removesuffix(b"\n").removesuffix(b"\r")
    if not 1 <= len(secret) <= LONGEST_SECRET or any(byte < 0x20 for byte in secret):
        raise ConfigError(f"{path}: must be one line of 1 to {LONGEST_SECRET} bytes, without control characters")
    return secret


def read_secret_text(path: Path) -> str:
    """The same as text, for what is a password to others. Raises ConfigError also if it is not UTF-8."""
    try:
        return read_secret(path).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8") from None  # the error carries the secret


def check_folders(path: Path) -> None:
    """Refuse a folder in which everybody may put another file in place of this one; a link has two of them.

    Raises ConfigError, and OSError where a folder cannot be looked at.
    """
    for folder in dict.fromkeys((path.parent, Path(os.path.realpath(path)).parent)):
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigError(f"{path}: everybody may write the folder {folder}; chmod o-w")


def _open_at_once(path: str, flags: int) -> int:
    # Opening a FIFO would wait for somebody to write into it.
    return os.open(path, flags | os.O_NONBLOCK)
