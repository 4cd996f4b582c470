"""The listener's life: it follows each reload, and takes over what has not changed."""

from __future__ import annotations

import logging

from ...kit.addresses import show_address
from ...run.generation import Generation
from ...run.server import Server
from ..collector import Metrics
from ..operator import Operator
from .application import make_application
from .connections import Connections
from .site import Site

_log = logging.getLogger("dicomgate.admin")


class Web:
    """Serves what `[admin]` asks for. Both methods are for the operators' event loop, one at a time."""

    def __init__(self, server: Server, operator: Operator) -> None:
        self._server = server
        self._operator = operator
        self._metrics: Metrics | None = None
        self._site: Site | None = None
        self._connections: Connections | None = None

    async def adopt(self, generation: Generation) -> None:
        """Serve what this generation asks for from now on; that may be what is served already, or nothing."""
        page, sock = generation.assembly.page, generation.page_socket
        if self._connections is not None and self._connections.socket is not sock:
            await self._connections.close()
            self._connections = None
        if page is None or sock is None:
            self._site = None
            return
        if self._metrics is None:
            self._metrics = Metrics(self._server)
        if self._site is None:
            self._site = Site(self._server, self._operator, self._metrics.exposition, page)
        self._site.page = page
        if self._connections is None:
            self._connections = Connections(sock, page.tls, make_application(self._site))
        self._connections.tls = page.tls
        where = show_address(*sock.getsockname()[:2])
        _log.info("status page and metrics on %s, %s", where, "TLS" if page.tls else "no TLS")

    async def close(self) -> None:
        """Serve nothing any more."""
        if self._connections is not None:
            await self._connections.close()
        if self._metrics is not None:
            self._metrics.close()
        self._connections = self._site = self._metrics = None
