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
from ..kit.files import check_folders

_MODE = 0o660
_LONGEST = 103  # bytes: sun_path has 108 (unix(7)), with those of ".new" and the zero at the end
_BACKLOG = 16


class ControlSocket:
    """Listens at `path` from its creation to `close`. `socket` is who accepts."""

    def __init__(self, path: Path) -> None:
        """May block on the file. Raises ConfigError if others could replace it, StartError if it cannot be made."""
        self.path = path
        new = path.with_name(f"{path.name}.new")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            check(path)
            new.unlink(missing_ok=True)
            self.socket.bind(str(new))
            new.chmod(_MODE)
            self.socket.listen(_BACKLOG)
            self._file = new.lstat()
            new.rename(path)
        except OSError as error:
            self.socket.close()
            raise StartError(f"control socket {path}: cannot be made: {_why(error, path)}") from error
        except BaseException:
            self.socket.close()
            raise

    def close(self) -> None:
        """Listen no more, and remove the file if it is still this socket's. Idempotent; never raises."""
        self.socket.close()
        with suppress(OSError):
            if os.path.samestat(self.path.lstat(), self._file):
                self.path.unlink()


def check(path: Path) -> None:
    """Whether a socket may be made there. Raises ConfigError, StartError and OSError."""
    if len(os.fsencode(path)) > _LONGEST:
        raise StartError(f"control socket {path}: the path has more than {_LONGEST} bytes; choose a shorter one")
    check_folders(path)
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise StartError(f"control socket {path}: there is something else that is no socket; choose another path")
        if _is_alive(path):
            raise StartError(f"control socket {path}: another gateway is running and listens there")


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as client:
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:  # too many are waiting for it
            return True
    return True


def _why(error: OSError, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no folder {path.parent}; make it, and give it to the gateway's user"
    return error.strerror or str(error)
