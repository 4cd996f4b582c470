"""Serve operators beside a running gateway: what its configuration asks for, and nothing without that."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..run.server import Server
from .control import Control
from .operator import Operator
from .thread import AdminThread, Service


async def serve_operators(server: Server, drain: Callable[[], None]) -> AdminThread:
    """Begin to serve. Close what is returned when the gateway has ended. In the gateway's event loop.

    `drain` begins to end the gateway, as SIGTERM does.
    """
    operator = Operator(server, drain)
    makers: dict[str, Callable[[], Service]] = {
        "control": partial(Control, operator),
        "admin": partial(_web, server, operator),
    }
    thread = AdminThread(server, makers)
    await thread.begin()
    return thread


def _web(server: Server, operator: Operator) -> Service:
    from .web.service import Web  # the extra that it needs may be missing where there is no [admin]

    return Web(server, operator)
