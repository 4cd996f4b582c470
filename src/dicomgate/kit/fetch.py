"""One document from a URL of the operator's: https, one deadline, a limit, no detours.

Rule 1: no redirect is followed, no proxy of the environment's is used, no cookie is kept, nothing is decompressed.
Rule 2: the deadline is for all of it: a server that sends a byte a second gets no more time than one that sends none.
Rule 3: one connection, opened for the fetch and closed behind it: fetches are minutes apart.
Rule 4: whatever a server does, the one error is FetchError.

For plugins that fetch keys or metadata. It needs the extra "fetch", and nothing else of the house imports it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2 as httpx

from ..errors import ConfigError, FetchError

__all__ = ["LARGEST", "FetchError", "Fetcher", "check_url", "url_problem"]

LARGEST = 524_288
"""Bytes of an answer. A key set of 100 keys with their certificates has 300 kB."""


class Fetcher:
    """Fetches over https.

    `ca` are the certificates (PEM) that vouch for servers, `proxy` is "http://host:port". Raises ConfigError.
    """

    def __init__(self, *, ca: Path | None, proxy: str | None, deadline: timedelta) -> None:
        if not timedelta(milliseconds=100) <= deadline <= timedelta(minutes=1):
            raise ConfigError("fetch_timeout: 100ms to 60s")
        self._deadline = deadline.total_seconds()
        try:
            self._tls = ssl.create_default_context(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ca: {ca}: cannot be used: {error.strerror or error}") from None
        if proxy is not None and not _leads_somewhere(_parts(proxy), "http"):
            raise ConfigError("proxy: must be http://host:port")
        self._proxy = proxy

    def until(self) -> float:
        """The deadline of what begins now, in the loop's time: for fetches of which one needs the other's answer."""
        return asyncio.get_running_loop().time() + self._deadline

    async def get(self, url: str, *, accept: str = "application/json", until: float | None = None) -> bytes:
        """The document, of the media type `accept` if the server goes by it. Raises FetchError."""
        return await self._fetch(httpx.Request("GET", url, headers={**_HEADERS, "Accept": accept}), until)

    async def post(
        self, url: str, form: Mapping[str, str], credentials: tuple[str, str], *, until: float | None = None
    ) -> bytes:
        """The answer to a form, with the gateway's name and secret. Raises FetchError."""
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
                raise FetchError("answers with a compressed document, which was not asked for")
            body = bytearray()
            async with aclosing(response.aiter_raw()) as pieces:
                async for piece in pieces:
                    body += piece
                    if len(body) > LARGEST:
                        raise FetchError(f"answers with more than {LARGEST} bytes")
                    await asyncio.sleep(0)  # thousands of pieces can come in one packet: others have their turn
            return bytes(body)


class _Connections:
    """Closes what a fetch has opened: the library leaves a connection open whose TLS handshake is cancelled."""

    def __init__(self) -> None:
        self._opened: list[Any] = []

    async def __call__(self, event: str, about: Mapping[str, Any]) -> None:
        """The library tells what it does (its extension "trace")."""
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
    if not _leads_somewhere(parts, "https"):
        return "must be https://..."
    if parts.userinfo or parts.fragment:
        return "must have neither user, password nor fragment"
    return ""


def _parts(url: str) -> httpx.URL:
    """A URL as the library reads it that will go there; one that is none has no scheme."""
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return httpx.URL("")


def _leads_somewhere(parts: httpx.URL, scheme: str) -> bool:
    return parts.scheme == scheme and bool(parts.host) and (parts.port or 0) < 65536


def _said(error: Exception) -> str:
    """What the library says, in one line: of TLS, that the certificate cannot be verified, and why."""
    said = " ".join(str(error).split())
    return said[:200] or type(error).__name__
