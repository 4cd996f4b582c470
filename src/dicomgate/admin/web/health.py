"""/live, /ready and /metrics.

/live: the gateway's loop answers. Whoever starts the gateway again when it does not must not look at anything else.
/ready: it listens, does not drain, and can write the records that its logins need. It does not follow the PACS: if all
gateways went unready with it, clients would get no connection instead of an answer. `/ready?upstream=NAME` does,
by the checks of that PACS. Without checks it would stay unready until an association comes, and none would.
"""

from __future__ import annotations

import asyncio
import hmac
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ...kit.networks import read_address
from ...net.pooled import PooledUpstream
from ..status import addresses_of
from .requests import ends_of
from .site import Site, site_of

_TIMEOUT = 1.0  # seconds
_BEARER = "bearer "


async def live(request: Request) -> Response:
    """Whether the gateway's loop answers within a second."""
    return _word("live", "hanging", await _answers(site_of(request)))


async def ready(request: Request) -> Response:
    """Whether new associations are taken."""
    server = site_of(request).server
    required = server.generation.assembly.configuration.tables.audit_required
    able = not server.history.draining and not (required and server.records.trouble())
    if (name := request.query_params.get("upstream")) is not None:
        if (refused := await _refused(site_of(request), request)) is not None:
            return refused  # the names of upstreams are for those who may read the metrics
        upstream = server.generation.assembly.upstreams.get(name)
        if not isinstance(upstream, PooledUpstream) or not upstream.looks.checked:
            return PlainTextResponse("no upstream of this name has addresses that are checked\n", 404)
        able = able and any(one.up and one.order == "ready" for one in addresses_of(server, name))
    return _word("ready", "unready", able)


def _word(yes: str, no: str, able: bool) -> Response:
    return PlainTextResponse(f"{yes if able else no}\n", 200 if able else 503)


async def _answers(site: Site) -> bool:
    here, answer = asyncio.get_running_loop(), asyncio.Event()
    try:
        site.server.loop.call_soon_threadsafe(here.call_soon_threadsafe, answer.set)
        async with asyncio.timeout(_TIMEOUT):
            await answer.wait()
    except (RuntimeError, TimeoutError):  # the loop is closed; or it hangs
        return False
    return True


async def metrics(request: Request) -> Response:
    """The metrics, for `metrics_from`, or for who has the token."""
    site = site_of(request)
    if (refused := await _refused(site, request)) is not None:
        return refused
    text, media_type = site.exposition(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": media_type})


async def _refused(site: Site, request: Request) -> Response | None:
    if _may_read(site, request):
        return None
    if site.page.metrics_token is None:
        return PlainTextResponse("not from this address: see metrics_from of [admin]\n", 403)
    where = f"the metrics, from {ends_of(request)[0][0]}"
    if "authorization" in request.headers and site.recorded.is_new(where, by_anybody=True):
        await site.operator.note("log in", where, "a token (not verified)", problem="not that of metrics_token_file")
    asked = {"www-authenticate": 'Bearer realm="dicomgate metrics"'}
    return PlainTextResponse("this takes the token of metrics_token_file\n", 401, asked)


def _may_read(site: Site, request: Request) -> bool:
    client, token = request.client, request.headers.get("authorization", "")
    if client is not None and any(read_address(client.host) in network for network in site.page.metrics_from):
        return True
    known = site.page.metrics_token
    if known is None or not token.lower().startswith(_BEARER):
        return False
    return hmac.compare_digest(sha256(token[len(_BEARER) :].strip().encode()).digest(), known)
