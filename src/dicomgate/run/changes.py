"""Files that change under a running gateway: `reload_on_change` has it load them by itself.

They are looked at from time to time, and not watched by the kernel: inotify(7) tells of nothing that another machine
changes on a network's file system, and Kubernetes exchanges a link to a folder (`..data`), not the files that we name.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from ..config.load import Configuration
from ..kit.files import CHANGED, FileStamp, file_stamp
from .named_files import read_files
from .server import Server

Look: TypeAlias = Mapping[Path, FileStamp]
"""The stamp of each file; with its owner and its mode, by which the gateway could not read it before."""

_log = logging.getLogger("dicomgate.server")
_TURNED_ON = 5.0
"""Seconds from one look at whether a reload has turned it on to the next."""


def look(configuration: Configuration) -> Look:
    """The files that the configuration has the gateway read, as they are now. May block on them.

    Without a `cache`, such as the `replay_cache` of kerberos, which changes with each login.
    """
    return {path: file_stamp(path) for key, path in read_files(configuration) if not key.endswith("cache")}


class Changes:
    """What has changed since the files were loaded, as looks at them tell."""

    def __init__(self, loaded: Look, began: int = sys.maxsize) -> None:
        """What has changed after `began` (ns since 1970) may not be what was loaded."""
        self._loaded: Look = {
            path: None if one is not None and one[CHANGED] > began else one for path, one in loaded.items()
        }
        self._last: Look = self._loaded

    def seen(self, now: Look) -> list[Path]:
        """The files that have changed since they were loaded, once: they count as loaded then.

        None of them as long as they change from one look to the next: a certificate may be there before its key.
        """
        still, self._last = now == self._last, now
        if not still or now == self._loaded:
            return []
        before, self._loaded = self._loaded, now
        return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))


async def reload_on_change(server: Server, reload: Callable[[str], Awaitable[None]], began: int) -> None:
    """Look at the files, and call `reload` with what has changed, until cancelled.

    `began`: when the server began to read them, in ns since 1970.
    """
    changes: Changes | None = None
    while True:
        configuration = server.generation.assembly.configuration
        interval = configuration.tables.gateway.reload_on_change.total_seconds()
        if not interval:
            changes, began = None, time.time_ns()
        else:
            try:
                now = await asyncio.to_thread(look, configuration)
            except Exception:  # noqa: BLE001 (plugins read their options; the next look may go well)
                _log.exception("reload_on_change: a defect")
            else:
                changes = changes or Changes(now, began)
                if changed := changes.seen(now):
                    what = f"changed: {', '.join(map(str, changed))}"
                    _log.info("reload: %s", what)
                    await reload(what)
        await asyncio.sleep(interval or _TURNED_ON)
