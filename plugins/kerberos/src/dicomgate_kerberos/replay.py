"""The replay cache of MIT Kerberos: where it is, and that it is there (RFC 4120 3.2.3, 10).

Law: libkrb5 and the GSS-API find it by one variable of the environment, which is always set here. Left alone, they
would obey KRB5RCACHETYPE or krb5.conf, and either can say "none".
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import check_folders

NAME = "KRB5RCACHENAME"
_DEFAULT = "dfl:"
"""One file for each user of the system, refused if it is somebody else's: krb5_UID.rcache2 in /var/tmp."""


def use_replay_cache(path: Path | None) -> str:
    """Set the cache of this process to a file, or to the default; its name. Raises ConfigError.

    There is one for the process: a second one would not know the tokens of the first.
    """
    said = os.environ.get(NAME, "")
    if said and not said.startswith(("file2:", _DEFAULT)):
        raise ConfigError(f"{NAME} is {said!r}: without a replay cache a token that was seen could be sent again")
    if path is None:
        wanted = said or _DEFAULT
    else:
        wanted = f"file2:{path}"
        if said not in ("", wanted):
            raise ConfigError(
                f"replay_cache: this process uses another one, {said!r}: "
                "all kerberos tables must name the same, and a new one is used after a restart"
            )
        _check(path)
    if said != wanted:
        os.environ[NAME] = wanted
    _check_that_it_is_read(wanted)
    return wanted


def _check_that_it_is_read(wanted: str) -> None:
    """libkrb5 asks secure_getenv(3), which tells nothing to a process that has more rights than who started it."""
    library = ctypes.CDLL(None)
    library.secure_getenv.restype = ctypes.c_char_p
    if library.secure_getenv(NAME.encode()) != os.fsencode(wanted):
        raise ConfigError(
            "this process is setuid, setgid or has file capabilities: libkrb5 would not see which replay cache to use"
        )


def _check(path: Path) -> None:
    """Raises ConfigError unless it is a file that nobody but its owner can change, or can become one."""
    try:
        check_folders(path)
        folder = path.parent.stat()
        found = path.lstat() if os.path.lexists(path) else None
    except OSError as error:
        raise ConfigError(f"replay_cache: {path}: {error.strerror or error}") from None
    if found is not None:
        # Who owns the folder can put another file in its place anyway: a stranger can do so where everybody may.
        trusted = found.st_uid in (os.geteuid(), folder.st_uid, 0)
        if not stat.S_ISREG(found.st_mode) or not trusted or found.st_mode & 0o022:
            raise ConfigError(f"replay_cache: {path}: not a file of our own that nobody else can write")
    if not os.access(path.parent if found is None else path, os.R_OK | os.W_OK):
        raise ConfigError(f"replay_cache: {path}: cannot be written")
