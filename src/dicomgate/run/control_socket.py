"""The socket in the file system that operators' commands talk to: made, replaced and removed.

Rule 1: nobody but its owner and its group may connect: the permissions are there before anybody can.
Rule 2: a socket that a dead gateway left is replaced; one behind which a gateway lives is not.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import StartError
from ..kit.accounts import group_name
from ..kit.files import check_folders, try_to_write

_MODE = 0o660
_LONGEST = 103  # bytes: sun_path has 108 (unix(7)), with those of ".new" and the zero at the end
_BACKLOG = 128


class ControlSocket:
    """Listens at `path` from its creation to `close`. `socket` is who accepts."""

    def __init__(self, path: Path) -> None:
        """May block on the file. Raises ConfigError if others could replace it, StartError if it cannot be made."""
        self.path = path
        new = _beside(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            _check(path)
            _check_for_life(path)
            _remove(new)
            self.socket.bind(str(new))
            new.chmod(_MODE)
            self.socket.listen(_BACKLOG)
            self._file = new.lstat()
            new.rename(path)
        except BaseException as error:
            self.socket.close()
            _remove(new)
            if isinstance(error, OSError):
                raise _cannot_be_made(path, error) from error
            raise

    @property
    def is_there(self) -> bool:
        """Whether its file is: whoever cleans up may have removed it."""
        try:
            return os.path.samestat(self.path.lstat(), self._file)
        except OSError:
            return False

    def close(self) -> None:
        """Listen no more, and remove the file if it is still this socket's. Idempotent; never raises."""
        self.socket.close()
        with suppress(OSError):
            if self.is_there:
                self.path.unlink()


def group_at(path: Path) -> str:
    """The group that a socket would have there if this process made it: its name, or its number without one."""
    group = os.getegid()
    with suppress(OSError):
        folder = path.parent.stat()
        group = folder.st_gid if folder.st_mode & stat.S_ISGID else group
    return group_name(group)


def try_to_make(path: Path) -> None:
    """Raise what making one there would raise; a gateway may listen there already."""
    try:
        _check(path)
        try_to_write(_beside(path), beside_it=True)
    except OSError as error:
        # systemd makes the folder at the start (RuntimeDirectory), and removes it at the end.
        if not isinstance(error, FileNotFoundError) or not path.is_relative_to("/run"):
            raise _cannot_be_made(path, error) from error


def _beside(path: Path) -> Path:
    """What it is called until its permissions are right."""
    return path.with_name(f"{path.name}.new")


def _check(path: Path) -> None:
    if len(os.fsencode(path)) > _LONGEST:
        raise StartError(f"control socket {path}: the path has more than {_LONGEST} bytes; choose a shorter one")
    check_folders(path)
    for one in path, _beside(path):
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(one.lstat().st_mode):
                raise StartError(
                    f"control socket {one}: there is something else that is no socket; choose another path"
                )


def _remove(path: Path) -> None:
    """Remove a socket, and nothing else."""
    with suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


def _check_for_life(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as client:
        try:
            client.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return
        except BlockingIOError:  # too many are waiting for it
            pass
    raise StartError(
        f"control socket {path}: another gateway is running and listens there; end it, or write another path"
    )


def _cannot_be_made(path: Path, error: OSError) -> StartError:
    why = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        why = f"there is no folder {path.parent}; make it, and give it to the gateway's user"
    return StartError(f"control socket {path}: cannot be made: {why}")
