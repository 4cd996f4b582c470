"""The replay cache of MIT Kerberos: where it is, and that it is on (RFC 4120 3.2.3, 10).

Rule: libkrb5 and the GSS-API find it by one environment variable, which is always set here. Without it they would
obey KRB5RCACHETYPE or krb5.conf, and both can say "none".
"""

from __future__ import annotations

import ctypes
import logging
import os
import stat
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import check_folders

NAME = "KRB5RCACHENAME"
_log = logging.getLogger(__name__)
_SEED = 16
"""Bytes at the beginning of a cache. In a file that is shorter, but not empty, libkrb5 finds no token again."""
_DEFAULT = "dfl:"
"""One file for each system user, refused if another user owns it: krb5_UID.rcache2 in /var/tmp."""


def use_replay_cache(path: Path | None) -> str:
    """Set this process's only cache to a file or, for None, to the default; return its name. Raises ConfigError."""
    configured = os.environ.get(NAME, "")
    if configured and not configured.startswith(("file2:", _DEFAULT)):
        raise ConfigError(f"{NAME} is {configured!r}: without a replay cache, a recorded token could be sent again")
    if path is None:
        wanted = configured or _DEFAULT
    else:
        wanted = f"file2:{path}"
        if configured not in ("", wanted):  # a second cache would not know the tokens of the first
            raise ConfigError(
                f"replay_cache: this process uses another one, {configured!r}: "
                "all kerberos tables must name the same one, and a new one needs a restart"
            )
        _check(path)
    if configured != wanted:
        os.environ[NAME] = wanted
    _check_that_it_is_read(wanted)
    return wanted


def _check_that_it_is_read(wanted: str) -> None:
    """libkrb5 uses secure_getenv(3), which returns nothing in a process with more rights than its caller."""
    library = ctypes.CDLL(None)
    library.secure_getenv.restype = ctypes.c_char_p
    if library.secure_getenv(NAME.encode()) != os.fsencode(wanted):
        raise ConfigError(
            "this process is setuid or setgid or has file capabilities: libkrb5 would not see which replay cache to use"
        )


def _check(path: Path) -> None:
    """Raises ConfigError unless this is, or can become, a file that only its owner can change."""
    try:
        check_folders(path)
        folder = path.parent.stat()
        found = path.lstat() if os.path.lexists(path) else None
    except OSError as error:
        raise ConfigError(f"replay_cache: {path}: {error.strerror or error}") from None
    if found is not None:
        # The folder's owner could replace the file anyway. Another user owns it only where everybody may write.
        trusted = found.st_uid in (os.geteuid(), folder.st_uid, 0)
        if not stat.S_ISREG(found.st_mode) or not trusted or found.st_mode & 0o022:
            raise ConfigError(
                f"replay_cache: {path}: not a regular file that belongs to this user and that only its owner can write"
            )
    if not os.access(path.parent if found is None else path, os.R_OK | os.W_OK):
        raise ConfigError(f"replay_cache: {path}: cannot be written")
    if found is not None and 0 < found.st_size < _SEED:
        _log.error("%s: damaged, and emptied: it is shorter than a replay cache can be", path)
        os.truncate(path, 0)
