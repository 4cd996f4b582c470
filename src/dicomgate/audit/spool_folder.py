"""The folder of a spool: one process has it, and a file in it says up to where all is delivered."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import StartError

_MODE = 0o750
_DELIVERED, _LOCK = "delivered", "lock"
_NEVER_REACHED = 2**63  # a number in a record has 64 bits


def claimed(folder: Path) -> int:
    """The descriptor that keeps others away until it is closed. Makes a folder that is not there. Raises OSError."""
    folder.mkdir(_MODE, exist_ok=True)
    # Who can write there can forge messages, and lead ours elsewhere by links.
    if folder.stat().st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, "everybody can write to it; name a folder of the gateway's own")
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def delivered_of(folder: Path) -> int:
    """The number of the last message that is delivered; 0 if none is, or nobody can tell. Raises OSError."""
    with suppress(FileNotFoundError, ValueError):
        number = int((folder / _DELIVERED).read_text("ascii"))
        return number if 0 <= number < _NEVER_REACHED else 0
    return 0


def note_delivered(folder: Path, number: int) -> None:
    """All messages up to this one are delivered. Raises OSError."""
    new = folder / f"{_DELIVERED}.new"
    new.write_text(f"{number}\n", "ascii")
    new.replace(folder / _DELIVERED)


def cannot_be_used(folder: Path, error: OSError) -> StartError:
    """What to raise when a spool cannot be opened: it says why, and what to do."""
    why = error.strerror or str(error)
    if error.errno == errno.ENOENT:
        why = f"there is no folder {folder.parent}; make it, and give it to the gateway's user"
    elif isinstance(error, BlockingIOError):
        why = "another gateway uses it; give each a folder of its own"
    return StartError(f"the audit spool {folder} cannot be used: {why}")
