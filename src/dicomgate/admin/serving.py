"""Serve operators beside a running gateway: what its configuration asks for, and nothing without that."""

from __future__ import annotations

from collections.abc import Callable

from ..run.server import Server
from .operator import Operator
from .thread import AdminThread


async def serve_operators(server: Server, drain: Callable[[], None]) -> AdminThread:
    """Begin to serve. Close what is returned when the gateway has ended. In the gateway's event loop.

    `drain` begins to end the gateway, as SIGTERM does.
    """
    Operator(server, drain)
    thread = AdminThread(server, {})
    await thread.begin()
    return thread
