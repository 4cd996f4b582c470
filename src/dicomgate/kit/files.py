"""Files on which a login depends: not writable by everybody, and secrets not readable by everybody.

Rule 1: a file is as trustworthy as the folders on the way to it: anybody who can write those can replace the file.
Rule 2: messages name the path, never the content.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import ConfigError
from .text import read_text, without_mark

LONGEST_SECRET = 1024
"""Bytes."""

_WRITABLE, _READABLE = stat.S_IWOTH, stat.S_IROTH

FileStamp = tuple[int, ...] | None
"""What `file_stamp` returns. Two that differ: the file changed in between."""


def read_trusted(path: Path, longest: int) -> bytes:
    """The content of a file that not everybody may write: at most `longest` bytes. Raises ConfigError."""
    return read_with_mode(path, longest)[0]


def read_with_mode(path: Path, longest: int) -> tuple[bytes, int]:
    """As `read_trusted`, with the mode of the file (`st_mode`): for a file that others had better not read either."""
    return _read(path, longest, _WRITABLE)


def check_trusted(path: Path) -> None:
    """What `read_trusted` checks, for a file that a library opens. Raises ConfigError."""
    try:
        _check_mode(path, path.stat().st_mode, _WRITABLE)
        check_folders(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_private(path: Path, longest: int) -> bytes:
    """The content of a file that not everybody may read either, for example a private key: at most `longest` bytes.

    Raises ConfigError.
    """
    return _read(path, longest, _WRITABLE | _READABLE)[0]


def read_secret(path: Path) -> bytes:
    """A secret: one line without its line end, 1 to 1024 bytes. Raises ConfigError."""
    line = without_mark(read_private(path, LONGEST_SECRET + len("\ufeff\r\n".encode())))
    secret = line.removesuffix(b"\n").removesuffix(b"\r")
    if not 1 <= len(secret) <= LONGEST_SECRET or any(byte < 0x20 for byte in secret):
        raise ConfigError(f"{path}: must be one line of 1 to {LONGEST_SECRET} bytes, without control characters")
    return secret


def read_secret_text(path: Path) -> str:
    """A secret as text, for a library or server that wants a password. Raises ConfigError, also if it is not UTF-8."""
    try:
        return read_text(read_secret(path))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def check_folders(path: Path) -> None:
    """Refuse a file that everybody could replace, because everybody may write a folder on the way to it.

    Folders with the sticky bit are allowed. For a symbolic link, the folders above the link and those above the file
    that it finally leads to count; the links between them do not.

    Raises ConfigError, and OSError if a folder cannot be examined.
    """
    for folder in dict.fromkeys((*path.absolute().parents, *Path(os.path.realpath(path)).parents)):
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigError(f"{path}: everybody may write the folder {folder}; chmod o-w")


def file_stamp(path: Path) -> FileStamp:
    """A value that changes whenever the file does; None if the file cannot be examined.

    It includes the change time, which shows what the modification time does not: another mode, a copy that keeps its
    times. Take it before the file is read; then a change during the reading is seen the next time.
    """
    try:
        file = os.stat(path)  # noqa: PTH116 - called for each login: no Path objects
    except OSError:
        return None
    return file.st_dev, file.st_ino, file.st_mtime_ns, file.st_ctime_ns, file.st_size, file.st_mode


def trust_stamp(path: Path) -> FileStamp:
    """Like `file_stamp`; changes also with the modes of the file's folder, and of the folder that a link leads to."""
    file = file_stamp(path)
    try:
        return file and (*file, *(os.stat(folder).st_mode for folder in _folders(path)))  # noqa: PTH116 - as above
    except OSError:
        return None


def _folders(path: Path) -> list[Path]:
    return list(dict.fromkeys((path.parent, Path(os.path.realpath(path)).parent)))


def _read(path: Path, longest: int, forbidden: int) -> tuple[bytes, int]:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            _check_mode(path, mode, forbidden)
            data = file.read(longest + 1)
        check_folders(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > longest:
        raise ConfigError(f"{path}: longer than {longest} bytes")
    return data, mode


def _check_mode(path: Path, mode: int, forbidden: int) -> None:
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{path}: this is not a regular file")
    if mode & forbidden:
        may, remedy = ("read or write", "o-rw") if forbidden & _READABLE else ("write", "o-w")
        raise ConfigError(f"{path}: everybody may {may} this file; chmod {remedy}")


def _open_at_once(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a FIFO waits until another process opens it for writing.
    return os.open(path, flags | os.O_NONBLOCK)
