"""Files on which a login depends: not writable by everybody, and secrets not readable by everybody.

Rule 1: a file is no better than the folder that it is in: who may put another one in its place has written it.
Rule 2: messages name the path, never the content.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import ConfigError

LONGEST_SECRET = 1024
FileStamp = tuple[int, ...] | None
"""What `file_stamp` gives: two that differ are of a file that has changed between them."""


def read_trusted(path: Path, longest: int) -> bytes:
    """The content of a file that not everybody may write: at most `longest` bytes. Raises ConfigError."""
    return _read(path, longest, stat.S_IWOTH, "everybody may write this file; chmod o-w")


def read_private(path: Path, longest: int) -> bytes:
    """The content of a file that not everybody may read either, a private key for one. Raises ConfigError."""
    return _read(path, longest, stat.S_IWOTH | stat.S_IROTH, "everybody may read or write this file; chmod o-rw")


def read_secret(path: Path) -> bytes:
    """A secret: one line without its line end, 1 to 1024 bytes. Raises ConfigError."""
    secret = read_private(path, LONGEST_SECRET + 2).removesuffix(b"\n").removesuffix(b"\r")
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
    """Refuse a folder in which everybody may put another file in place of this one, or another folder on the way to it.

    Of a link, the way to it and the way to where it leads count; not those in between, of a link to a link.

    Raises ConfigError, and OSError where a folder cannot be looked at.
    """
    for folder in dict.fromkeys((*path.absolute().parents, *Path(os.path.realpath(path)).parents)):
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigError(f"{path}: everybody may write the folder {folder}; chmod o-w")


def file_stamp(path: Path) -> FileStamp:
    """What changes when the file does, to be compared with an earlier one; None if the file cannot be looked at.

    The change time sees what the modification time does not: another mode, a copy that keeps its times. Taken before
    the file is read, it lets a change after that be seen the next time.
    """
    try:
        file = os.stat(path)  # noqa: PTH116 - one call a login, and no object more
    except OSError:
        return None
    return file.st_dev, file.st_ino, file.st_mtime_ns, file.st_ctime_ns, file.st_size, file.st_mode


def trust_stamp(path: Path) -> FileStamp:
    """Like `file_stamp`; changes also with the modes of the file's folder, and of the folder that a link leads to."""
    file = file_stamp(path)
    try:
        return file and (*file, *(os.stat(folder).st_mode for folder in _folders(path)))  # noqa: PTH116 - likewise
    except OSError:
        return None


def _folders(path: Path) -> list[Path]:
    return list(dict.fromkeys((path.parent, Path(os.path.realpath(path)).parent)))


def _read(path: Path, longest: int, forbidden: int, refusal: str) -> bytes:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{path}: this is not a regular file")
            if mode & forbidden:
                raise ConfigError(f"{path}: {refusal}")
            data = file.read(longest + 1)
        check_folders(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > longest:
        raise ConfigError(f"{path}: longer than {longest} bytes")
    return data


def _open_at_once(path: str, flags: int) -> int:
    # Opening a FIFO would wait for somebody to write into it.
    return os.open(path, flags | os.O_NONBLOCK)
