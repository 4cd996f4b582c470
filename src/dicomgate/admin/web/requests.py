"""What a request brings: its form or its JSON, bounded; its cookie; who sent it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from .connections import LARGEST, PATIENCE

_MOST_FIELDS = 16
_SECURE, _PLAIN = "__Host-dicomgate", "dicomgate"


async def form_of(request: Request) -> Mapping[str, str]:
    """The fields of a form. Raises HTTPException."""
    _check_type(request, "application/x-www-form-urlencoded")
    body = await _body(request)
    try:
        return dict(
            parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MOST_FIELDS)
        )
    except ValueError:
        raise HTTPException(400, "this is not a form") from None


async def json_of(request: Request) -> Mapping[str, str]:
    """An object of texts. Raises HTTPException."""
    _check_type(request, "application/json")
    try:
        found = json.loads(await _body(request) or b"{}")
        json.dumps(found, ensure_ascii=False).encode()  # half a pair of surrogates is no text
    except (ValueError, RecursionError):
        raise HTTPException(400, "this is not JSON") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise HTTPException(400, "an object is wanted, whose values are texts")
    return found


def _check_type(request: Request, wanted: str) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
        raise HTTPException(415, f"{wanted} is wanted")


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(PATIENCE):
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST:
                    raise HTTPException(413, f"more than {LARGEST} bytes")
    except TimeoutError:
        raise HTTPException(408, f"not sent within {PATIENCE:g} s") from None
    return body


def cookie_name(request: Request) -> str:
    """The name of the cookie. Where the browser came by TLS, it is one that no other host can set (RFC 6265bis 4.1.3).

    A page behind a proxy that ends TLS is told so by the Origin.
    """
    return _SECURE if is_secure(request) else _PLAIN


def is_secure(request: Request) -> bool:
    """True if the browser came by TLS."""
    return request.url.scheme == "https" or request.headers.get("origin", "").lower().startswith("https://")


def cookie_of(request: Request) -> str:
    """The value of the cookie; "" if there is none."""
    names = (_SECURE,) if request.url.scheme == "https" else (_SECURE, _PLAIN)
    return next((request.cookies[name] for name in names if name in request.cookies), "")


def ends_of(request: Request) -> tuple[tuple[str, int], tuple[str, int]]:
    """The addresses of the client and of the gateway."""
    client, server = request.scope["client"], request.scope["server"]
    return (client[0], client[1]), (server[0], server[1])
