"""Ports of 127.0.0.1, and waiting for something to become true."""

import random
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Address = tuple[str, int]
HOST = "127.0.0.1"

_LISTEN = "0A"  # TCP_LISTEN, proc(5)
_given = deque[int](maxlen=1000)


def free_port() -> int:
    """Return an unused TCP port of 127.0.0.1, which this process was not given lately: it may not listen there yet.

    It is below those that the system gives to clients: one that a connection has just ended on would be free for us,
    and taken for a server such as storescp, which does not set SO_REUSEADDR.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            if port not in _given:
                probe.bind((HOST, port))
                _given.append(port)
                return port


def listens(port: int) -> bool:
    """Tell whether a process listens on the TCP port, without connecting to it."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():  # a kernel without IPv6
            continue
        for line in table.read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                return True
    return False


def wait_until(what: Callable[[], object], describe: str, timeout: float = 20) -> None:
    """Return as soon as `what()` is true; raise TimeoutError naming `describe` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"{describe}: not within {timeout} s")
        time.sleep(0.01)
