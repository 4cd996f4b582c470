"""What systemd is told of the running gateway, and that it is alive: sd_notify(3).

Rule 1: whoever reads the socket holds nobody up: what is not taken at once is told again with whatever comes next.
Rule 2: WATCHDOG=1 comes from a callback of the gateway's own event loop: a loop that is blocked does not send it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, MutableMapping

from ..events.events import Event, Refused
from ..kit.text import one_line
from .server import Server

_log = logging.getLogger("dicomgate.systemd")
_EVERY = 10.0  # seconds between two looks at the numbers
_MINUTE = 6  # times _EVERY
_MORE_TIME = f"EXTEND_TIMEOUT_USEC={3 * _EVERY * 1e6:.0f}"  # for the drain, asked for anew with each look
_STANDARD_ERROR = 2  # and not sys.stderr, which is the log by now
_LONGEST = 300  # characters of a status


class Manager:
    """The service manager that started this process, and reads datagrams at `address`: a path, or "@" and a name.

    `watchdog` is the time, in seconds, within which it must hear that the gateway is alive; 0 if it does not listen
    for that.
    """

    def __init__(self, address: str, watchdog: float) -> None:
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        # Kept, so that it is there when the process may open no more files.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._untold: dict[str, str] = {}
        self._failed = False

    def tell(self, **lines: str) -> None:
        """Send these lines; each replaces the one with its keyword that could not be sent before."""
        self._untold |= lines
        try:
            self._socket.sendto("\n".join(self._untold.values()).encode("utf-8", "replace"), self._address)
        except BlockingIOError:
            return
        except OSError as error:
            if not self._failed:
                _log.warning("systemd cannot be told anything at NOTIFY_SOCKET: %s", error.strerror or error)
            self._failed = True
        else:
            self._untold.clear()

    def close(self) -> None:
        """Tell no more."""
        self._socket.close()


def manager_of(environment: MutableMapping[str, str]) -> Manager | None:
    """The manager that these variables name; None: nobody wants to be told.

    They are removed: no child of this process may speak for it.
    """
    address, interval, pid = (environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
    if not address.startswith(("/", "@")):
        return None
    # sd_watchdog_enabled(3): "$WATCHDOG_PID [...] set to the PID of the process the watchdog is meant for"
    mine = pid in ("", str(os.getpid())) and interval.isascii() and interval.isdigit()
    return Manager(address, int(interval) / 1e6 if mine else 0)


class Announcer:
    """Tells the manager what becomes of a server that listens. Make it in the server's event loop."""

    def __init__(self, server: Server, manager: Manager) -> None:
        self._server = server
        self._manager = manager
        self._loop = asyncio.get_running_loop()
        self._refused = deque([0], maxlen=_MINUTE)
        self._state = self._status = ""
        server.records.watchers.append(self._count)
        server.history.watchers.append(self._tell)
        self._repeat(_EVERY, self._look)
        if manager.watchdog:
            # Who misses a beat gets SIGABRT: then standard error tells where each thread was, without any value.
            faulthandler.enable(_STANDARD_ERROR)
            self._repeat(manager.watchdog / 2, self._beat)

    def _repeat(self, seconds: float, what: Callable[[], None]) -> None:
        self._loop.call_later(seconds, self._repeat, seconds, what)
        what()

    def _beat(self) -> None:
        self._manager.tell(alive="WATCHDOG=1")

    def _count(self, event: Event) -> None:
        if isinstance(event, Refused):
            self._refused[-1] += 1

    def _look(self) -> None:
        self._tell()
        self._refused.append(0)
        if self._server.history.draining:
            self._manager.tell(more_time=_MORE_TIME)

    def _tell(self) -> None:
        """Say what is new."""
        lines = {}
        history = self._server.history
        state = "STOPPING=1" if history.draining else "RELOADING=1" if history.reloading else "READY=1"
        if state != self._state:
            self._state = lines["state"] = state
            if history.draining:
                lines["more_time"] = _MORE_TIME
            elif history.reloading:
                lines["state"] += f"\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
        if (status := self._numbers()) != self._status:
            self._status = status
            lines["status"] = f"STATUS={status}"
        if lines:
            self._manager.tell(**lines)

    def _numbers(self) -> str:
        history, associations = self._server.history, self._server.associations
        if history.draining:
            return f"draining: {associations} associations"
        status = f"{associations} associations, {sum(self._refused)} refused within the last minute"
        if history.problems:
            status += f"; the last reload changed nothing: {one_line(history.problems[0])}"
        return status[:_LONGEST]
