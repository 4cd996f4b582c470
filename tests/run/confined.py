"""Run a command under the filters of system calls that a unit asks systemd for: `python confined.py UNIT COMMAND...`.

They are those of SystemCallFilter=, MemoryDenyWriteExecute= and RestrictAddressFamilies=, made as systemd makes them
(src/shared/seccomp-util.c), by the library that it uses.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_LIBRARY = "libseccomp.so.2"
_ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW
_EQUAL, _MASKED_EQUAL = 4, 7  # SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ
_SHM_EXEC = 0o100000


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def _refuse(number: int) -> int:
    return 0x00050000 | number  # SCMP_ACT_ERRNO


def possible() -> bool:
    """True if systemd-analyze and the library are installed."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    return shutil.which("systemd-analyze") is not None


def settings(unit: Path) -> dict[str, list[str]]:
    """The values of each key, in their order."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", unit.read_text("utf-8"), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def expanded(name: str) -> Iterator[str]:
    """The system calls of a set, or the one of this name."""
    if not name.startswith("@"):
        yield name
        return
    told = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    for line in told.stdout.splitlines():
        if line.startswith("    ") and not line.lstrip().startswith("#"):
            yield from expanded(line.strip())


def allowed(filters: list[str]) -> set[str]:
    """What is left of an allow list after the deny lists behind it."""
    found = {*expanded("@default")}
    for names in filters:
        calls = {call for name in names.removeprefix("~").split() for call in expanded(name)}
        found = found - calls if names.startswith("~") else found | calls
    return found


class _Filter:
    def __init__(self, library: ctypes.CDLL, otherwise: int) -> None:
        self._library = library
        library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(otherwise)))

    def add(self, action: int, call: str, *where: _Comparison) -> None:
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:  # of another architecture
            return
        conditions = (_Comparison * max(len(where), 1))(*where)
        done = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, ctypes.c_uint(len(where)), conditions
        )
        assert done == 0, (call, os.strerror(-done))

    def load(self) -> None:
        assert self._library.seccomp_load(self._context) == 0


def confine(unit: Path) -> None:
    """For this process and its children, for ever."""
    library = ctypes.CDLL(_LIBRARY)
    asked = settings(unit)
    number = getattr(errno, asked["SystemCallErrorNumber"][0])
    calls, families = allowed(asked["SystemCallFilter"]), asked["RestrictAddressFamilies"][0].split()
    by_call = _Filter(library, _refuse(number))
    for call in calls:
        by_call.add(_ALLOW, call)
    memory = _Filter(library, _ALLOW)
    both = mmap.PROT_EXEC | mmap.PROT_WRITE
    memory.add(_refuse(errno.EPERM), "mmap", _Comparison(2, _MASKED_EQUAL, both, both))
    for call in ("mprotect", "pkey_mprotect"):
        memory.add(_refuse(errno.EPERM), call, _Comparison(2, _MASKED_EQUAL, mmap.PROT_EXEC, mmap.PROT_EXEC))
    memory.add(_refuse(errno.EPERM), "shmat", _Comparison(2, _MASKED_EQUAL, _SHM_EXEC, _SHM_EXEC))
    sockets = _Filter(library, _ALLOW)
    known = {getattr(socket, name) for name in families}
    for family in set(range(46)) - known:
        sockets.add(_refuse(errno.EAFNOSUPPORT), "socket", _Comparison(0, _EQUAL, family, 0))
    for one in (sockets, memory, by_call):
        one.load()


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606
