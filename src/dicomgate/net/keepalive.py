"""TCP keepalive: notice a peer that has vanished without a word, such as one that was switched off.

Rule 1: a short association pays nothing. A listening socket hands the settings on to the connections that it accepts
        (Linux copies them), and a connection to the PACS gets them when its association has lasted for a while.
Rule 2: a peer that is there and silent, or reads slowly, is none of TCP's business: `idle_timeout` decides about it.

Not TCP_USER_TIMEOUT: it would also end connections whose peer acknowledges everything and has no room for more. As long
as the receiver acknowledges the probes, "the sending TCP endpoint MUST allow the connection to stay open" (RFC 9293
3.8.6.1). Data that nobody acknowledges is given up by the kernel, after net.ipv4.tcp_retries2 retransmissions: about 15
minutes.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

INTERVAL = 10
"""Seconds between two probes that get no answer."""
PROBES = 6
"""Probes without an answer after which a peer is taken for gone. One lost packet must not end a transfer."""


class Socket(Protocol):
    """A socket, or what stands for one."""

    @property
    def setsockopt(self) -> Callable[[int, int, int], None]:
        """As that of a socket."""


def keep_alive(stream: Socket, seconds: float) -> None:
    """Ask the peer for a sign of life after so many seconds of silence; 0: never."""
    with suppress(OSError):  # it has just broken: the next read shows it
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(seconds > 0))
        if seconds > 0:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, math.ceil(seconds))
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
