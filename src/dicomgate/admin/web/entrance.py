"""What every request must bring, whatever it asks for, and the headers of every answer.

Rule 1: the host must be one of `hosts`, or the very address that the request came to. A name that somebody else's
        server resolves to this address (DNS rebinding) is neither.
Rule 2: what changes something is a POST from a page of our own: its Origin is our host, its Sec-Fetch-Site same-origin,
        and at least one of the two is there. That its form has the token of its login is checked where it is read.
Rule 3: nothing is kept by a browser, framed by another page, or loaded from elsewhere. A browser that came
        by TLS once comes by TLS from then on.
"""

from __future__ import annotations

import logging
from email.utils import formatdate
from itertools import chain
from typing import Any

from h11 import LocalProtocolError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from ...errors import place
from ...kit.addresses import show_address
from ...run.page import is_loopback
from .connections import LARGEST
from .site import Site

_log = logging.getLogger("dicomgate.admin")
_OPEN = ("/live", "/ready")
_BY_SCRIPTS = "/api/"
_HEADERS = {
    "cache-control": "no-store",
    "connection": "close",
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",  # with no-referrer, a form would come with the Origin null
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_WITH_TLS = {"strict-transport-security": "max-age=31536000; includeSubDomains"}
"""RFC 6797 7.2: never over a connection without TLS. Browsers ignore it for an address without a name."""


class Entrance:
    """An ASGI application in front of another one."""

    def __init__(self, app: Any, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, or refuse it."""
        begun = False
        headers = _HEADERS | _WITH_TLS if scope["scheme"] == "https" else _HEADERS

        async def sending(message: Any) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                # RFC 9110 6.6.1: "An origin server with a clock MUST generate a Date header field".
                MutableHeaders(scope=message).update({**headers, "date": formatdate(usegmt=True)})
            await send(message)

        app = self._app
        if len(scope["raw_path"]) + len(scope["query_string"]) + sum(map(len, chain(*scope["headers"]))) > LARGEST:
            app = PlainTextResponse("the head of the request is too long\n", 431)
        elif why := self._why_not(scope):
            app = PlainTextResponse(f"{why}\n", 403)
        try:
            await app(scope, receive, sending)
        except (ClientDisconnect, LocalProtocolError):
            pass  # the client has gone, or broke the protocol meanwhile and has its answer
        except Exception as error:  # noqa: BLE001 (a defect ends this request alone)
            _log.error("a defect of the page: %s", place(error))
            if not begun:
                await PlainTextResponse("a defect: see the log of the gateway\n", 500)(scope, receive, sending)

    def _why_not(self, scope: Any) -> str:
        """Why it is refused; "" if it is not."""
        if scope["path"] in _OPEN:
            return ""
        headers = Headers(scope=scope)
        named = headers.getlist("host")
        host = named[0].lower() if len(named) == 1 else ""
        if host not in self._site.page.hosts and host not in _own(scope["server"]):
            return "this gateway's page is not here: the name must be in hosts of [admin]"
        origin, fetch_site = headers.get("origin"), headers.get("sec-fetch-site")
        if scope["method"] != "POST" or scope["path"].startswith(_BY_SCRIPTS):
            return ""  # a browser has no credential for those: no cookie counts there
        if origin is None and fetch_site is None:
            return "not from a page of this gateway: the request has neither Origin nor Sec-Fetch-Site"
        if origin is not None and origin.partition("://")[2].lower() != host:
            return "not from a page of this gateway (Origin)"
        return "" if fetch_site in (None, "same-origin") else "not from a page of this gateway (Sec-Fetch-Site)"


def _own(server: tuple[str, int]) -> tuple[str, ...]:
    """How a browser names the address that a request came to."""
    address = server[0].removeprefix("::ffff:")
    names = (address, "localhost") if is_loopback(address) else (address,)
    return tuple(show_address(name, server[1]) for name in names)
