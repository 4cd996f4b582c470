"""sha-crypt computed by the system's libcrypt, where there is one: in native code, without the interpreter's lock.

passlib computes it in Python, and so would hold up the event loop for milliseconds at a time, in any thread.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_STATE = 32_768  # bytes: CRYPT_DATA_SIZE of libxcrypt's crypt.h


def _load() -> Callable[[bytes, bytes, ctypes.Array[ctypes.c_char], int], bytes | None] | None:
    try:
        function = ctypes.CDLL("libcrypt.so.1").crypt_rn
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]
    function.restype = ctypes.c_char_p
    return function


_crypt_rn = _load()


def sha_crypt(passcode: bytes, text: str) -> str | None:
    """The hash of `passcode`, which has no NUL, with the salt and the rounds of the hash `text` ($5$ or $6$).

    None if there is no libcrypt here, or it does not know them. Thread-safe.
    """
    if _crypt_rn is None:
        return None
    state = ctypes.create_string_buffer(_STATE)
    found = _crypt_rn(passcode, text.encode("ascii"), state, _STATE)
    ctypes.memset(state, 0, _STATE)  # it has the passcode in it
    return found.decode("ascii") if found is not None and found.startswith(b"$") else None
