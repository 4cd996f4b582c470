"""One document over https from a URL in the configuration: one deadline, a size limit, no redirects.

Rule 1: no redirect is followed, no proxy from the environment is used, no cookie is kept, nothing is decompressed.
Rule 2: one deadline for the whole fetch: a server that sends a byte a second gets no more time than a silent one.
Rule 3: each fetch opens its own connection and closes it, because fetches are minutes apart.
Rule 4: whatever the server does, the only error is FetchError.

For plugins that fetch keys or metadata. This module needs the extra "fetch".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2 as httpx

from ..errors import ConfigError, FetchError
from .authorities import client_context

__all__ = ["LARGEST", "FetchError", "Fetcher", "check_url", "url_problem"]

LARGEST = 524_288
"""Bytes of a document. A key set with 100 keys and their certificates has 300 kB."""


class Fetcher:
    """Fetches over https, each document within `deadline`.

    `ca` has the certificates (PEM) that servers are verified with, None means the system's; `proxy` is
    "http://host:port". Raises ConfigError.
    """

    def __init__(self, *, ca: Path | None, proxy: str | None, deadline: timedelta) -> None:
        if not timedelta(milliseconds=100) <= deadline <= timedelta(minutes=1):
            raise ConfigError("fetch_timeout: 100ms to 60s")
        self._deadline = deadline.total_seconds()
        try:
            self._tls = client_context(ca)
        except ConfigError as error:
            raise ConfigError(f"ca: {error}") from None
        if proxy is not None and not _has_host(_parts(proxy), "http"):
            raise ConfigError("proxy: must be http://host:port")
        self._proxy = proxy

    def until(self) -> float:
        """The deadline of a fetch that begins now, in the event loop's time, to share it between several fetches."""
        return asyncio.get_running_loop().time() + self._deadline

    async def get(self, url: str, *, accept: str = "application/json", until: float | None = None) -> bytes:
        """The document at `url`; `accept` is the media type to ask for. Raises FetchError."""
        return await self._fetch(httpx.Request("GET", url, headers={**_HEADERS, "Accept": accept}), until)

    async def post(
        self, url: str, form: Mapping[str, str], credentials: tuple[str, str], *, until: float | None = None
    ) -> bytes:
        """The response to a form; `credentials` are the gateway's name and secret there. Raises FetchError."""
        request = httpx.Request("POST", url, headers=_HEADERS, data=dict(form))
        # RFC 6749 2.3.1: both "encoded using the application/x-www-form-urlencoded encoding algorithm".
        name, secret = map(quote_plus, credentials)
        return await self._fetch(next(httpx.BasicAuth(name, secret).auth_flow(request)), until)

    async def _fetch(self, request: httpx.Request, until: float | None) -> bytes:
        where = f"{request.url.host}:{request.url.port or 443}"
        try:
            async with asyncio.timeout_at(self.until() if until is None else until):
                return await self._answer(request)
        except TimeoutError:
            raise FetchError(f"{where}: no answer within {self._deadline:g} s") from None
        except httpx.HTTPError as error:
            raise FetchError(f"{where}: {_said(error)}") from None
        except FetchError as error:
            raise FetchError(f"{where}: {error}") from None

    async def _answer(self, request: httpx.Request) -> bytes:
        connections = _Connections()
        request.extensions["trace"] = connections
        client = httpx.AsyncClient(verify=self._tls, proxy=self._proxy, trust_env=False, timeout=None)
        async with connections, client:
            response = await client.send(request, stream=True, follow_redirects=False)
            if response.status_code != httpx.codes.OK:
                raise FetchError(f"answers with status {response.status_code}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FetchError("answers with a compressed document, although none was requested")
            body = bytearray()
            async with aclosing(response.aiter_raw()) as pieces:
                async for piece in pieces:
                    body += piece
                    if len(body) > LARGEST:
                        raise FetchError(f"answers with more than {LARGEST} bytes")
                    await asyncio.sleep(0)  # one packet can hold thousands of pieces: let other tasks run
            return bytes(body)


class _Connections:
    """Closes the connections of a fetch: the library leaves one open if its TLS handshake is cancelled."""

    def __init__(self) -> None:
        self._opened: list[Any] = []

    async def __call__(self, event: str, about: Mapping[str, Any]) -> None:
        """Called by the library for each step (its extension "trace")."""
        if event == "connection.connect_tcp.complete":
            self._opened.append(about["return_value"])

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        for stream in self._opened:
            await stream.aclose()


_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "dicomgate"}


def check_url(key: str, url: str) -> None:
    """Raises ConfigError, which names the configuration's key, if a URL must not be fetched."""
    if reason := url_problem(url):
        raise ConfigError(f"{key}: {reason}")


def url_problem(url: object) -> str:
    """Why a URL must not be fetched; "" if it may."""
    if not isinstance(url, str) or len(url) > 2048 or not url.isascii() or not url.isprintable():
        return "not a URL"
    parts = _parts(url)
    if not _has_host(parts, "https"):
        return "must be https://..."
    if parts.userinfo or parts.fragment:
        return "must have neither user, password nor fragment"
    return ""


def _parts(url: str) -> httpx.URL:
    """The URL as the library reads it, which will connect; without a scheme if it is not a URL."""
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return httpx.URL("")


def _has_host(parts: httpx.URL, scheme: str) -> bool:
    return parts.scheme == scheme and bool(parts.host) and (parts.port or 0) < 65536


def _said(error: Exception) -> str:
    """The library's message on one line, for example why a certificate cannot be verified."""
    said = " ".join(str(error).split())
    return said[:200] or type(error).__name__
