"""Put a new version of a file in the place of the one that was read, and of no other.

Programs that know no lock of ours replace the same file meanwhile: `sed -i`, an editor, Ansible, rsync. A plain rename
would drop what they wrote, and so bring back a user whom they removed. Linux can exchange two names in one step
(renameat2(2), RENAME_EXCHANGE). So what was really replaced can be looked at afterwards, and be put back if it is not
the version that was read.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from dicomgate.kit.files import sync_folder

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
"""A file system without it (NFS), a filter of system calls: there only the look before remains."""


def replace(target: Path, read: tuple[os.stat_result, bytes], new: Path) -> bool:
    """Put `new` in the place of `target`, if that is the file that was `read`: its status, and its content.

    False if another program has changed it. Then its version is in place again. `new` is left with what is not needed.
    Raises OSError.
    """
    ours = _version(new)
    try:
        if _version(target) != _version_of(read[0]):
            return False
        if not _exchange(new, target):
            new.replace(target)
            sync_folder(target.parent)
            return True
        if _is_what_was_read(new, read):
            sync_folder(target.parent)
            # Once more, after the time that the disk took: a program may have had it open, and have written to it.
            if _is_what_was_read(new, read):
                return True
        _put_back(target, new, ours)
    except FileNotFoundError:  # removed by another program
        pass
    return False


def _put_back(target: Path, theirs: Path, ours: tuple[int, ...]) -> None:
    """Put back what was there; and if a still newer version comes out then, put back that one instead."""
    expected = ours
    while True:
        put = _version(theirs)
        _exchange(theirs, target)
        if _version(theirs) == expected:
            return
        expected = put


def _is_what_was_read(path: Path, read: tuple[os.stat_result, bytes]) -> bool:
    return _version(path) == _version_of(read[0]) and path.read_bytes() == read[1]


def _version(path: Path) -> tuple[int, ...]:
    return _version_of(path.lstat())


def _version_of(status: os.stat_result) -> tuple[int, ...]:
    """Which file it is, and who may do what with it."""
    return status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names. False if that cannot be done here."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(other))
