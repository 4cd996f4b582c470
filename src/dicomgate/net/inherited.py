"""Listening sockets that systemd has opened before the gateway started: sd_listen_fds(3).

Rule: every socket that was handed over is used by a listener, or closed with a warning: nobody may connect to one that
is never accepted from. No child inherits one.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from itertools import chain, repeat
from typing import NamedTuple

from .listener import Address

_log = logging.getLogger("dicomgate.listener")
_FIRST = 3  # SD_LISTEN_FDS_START
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class Inherited(NamedTuple):
    """A socket, and its FileDescriptorName= in systemd's unit."""

    name: str
    socket: socket.socket


def inherited(environment: MutableMapping[str, str]) -> list[Inherited]:
    """The sockets that these variables tell of, which are removed: they are for this process alone."""
    pid, count, names = (environment.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return []
    found = []
    for number, name in zip(range(_FIRST, _FIRST + int(count)), chain(names.split(":"), repeat("")), strict=False):
        try:
            os.set_inheritable(number, False)
            found.append(Inherited(name, socket.socket(fileno=number)))
        except OSError as error:
            _log.warning("what systemd handed over as %r is closed: %s", name, error.strerror)
            with suppress(OSError):
                os.close(number)
    return found


def assigned(sockets: Sequence[Inherited], listeners: Mapping[Address, str]) -> dict[Address, socket.socket]:
    """Which address of the configuration has which of these sockets; `listeners` has the listener of each address.

    One has the socket that is bound to it, or else one with the name of its listener. What is left is closed.
    """
    usable = []
    for one in sockets:
        if why := _problem(one.socket):
            _close(one, why)
        else:
            usable.append(one)
    found = {one.socket.getsockname()[:2]: one for one in usable if one.socket.getsockname()[:2] in listeners}
    named = [one for one in usable if one not in found.values()]
    for address, listener in listeners.items():
        if address not in found and (same := [one for one in named if one.name == listener]):
            found[address] = same[0]
            named.remove(same[0])
    for one in named:
        _close(one, "no listener has its address in bind, or its name")
    for one in found.values():
        one.socket.setblocking(False)
        one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    return {address: one.socket for address, one in found.items()}


def _problem(sock: socket.socket) -> str:
    """Why no listener can use it; "" if one can."""
    if sock.family not in _FAMILIES or sock.type != socket.SOCK_STREAM:
        return "it is not one of TCP"
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "it does not listen (Accept=yes?)"
    if sock.family == socket.AF_INET6 and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        # Clients by IPv4 would have addresses of IPv6 in the log and the audit.
        return "it takes IPv4 too: write BindIPv6Only=ipv6-only, and a ListenStream= for each"
    return ""


def _close(one: Inherited, why: str) -> None:
    _log.warning("the socket %r of systemd (%s) is closed: %s", one.name, one.socket.getsockname(), why)
    one.socket.close()
