"""Which address of the page is answered by whom."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import api, health, page
from .entrance import Entrance
from .site import Site

_ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "mark.svg": "image/svg+xml; charset=utf-8"}


def make_application(site: Site) -> Any:
    """The ASGI application of the listener of `[admin]`."""
    routes = [
        Route("/live", health.live),
        Route("/ready", health.ready),
        Route("/metrics", health.metrics),
        Route("/", page.status),
        Route("/login", page.log_in, methods=["POST"]),
        Route("/logout", page.log_out, methods=["POST"]),
        Route("/actions/{action}", page.act, methods=["POST"]),
        Route("/api/v1/status", api.status),
        Route("/api/v1/sessions", api.sessions),
        Route("/api/v1/{action}", api.act, methods=["POST"]),
        *(Route(f"/{name}", partial(_asset, name, media_type)) for name, media_type in _ASSETS.items()),
    ]
    application = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    application.state.site = site
    return Entrance(application, site)


async def _asset(name: str, media_type: str, _: Request) -> Response:
    return page.asset(name, media_type)


async def _refused(request: Request, error: Exception) -> Response:
    refused = api.refused if request.url.path.startswith("/api/") else page.refused
    return await refused(request, error)
