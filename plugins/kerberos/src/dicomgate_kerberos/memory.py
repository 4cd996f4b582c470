"""What libkrb5 opens by a name and no other process can: files and credential caches in memory."""

from __future__ import annotations

import os
import weakref
from uuid import uuid4

from . import libkrb5


class MemoryFile:
    """A file with this content, which vanishes with this object. Raises OSError."""

    def __init__(self, content: bytes) -> None:
        descriptor = os.memfd_create("krb5")
        weakref.finalize(self, os.close, descriptor).atexit = False
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        self.name = f"FILE:/proc/self/fd/{descriptor}"


class MemoryCache:
    """An empty credential cache, which vanishes with this object, and its tickets with it."""

    def __init__(self) -> None:
        self.name = f"MEMORY:{uuid4().hex}"
        weakref.finalize(self, libkrb5.destroy_cache, self.name).atexit = False
