"""One document over https from a URL in the configuration: one deadline, a size limit, no redirects.

Rule 1: no redirect is followed, no proxy from the environment is used, no cookie is kept, nothing is decompressed.
Rule 2: one deadline for the whole fetch: a server that sends a byte a second gets no more time than a silent one.
Rule 3: each fetch opens its own connection and closes it, because fetches are minutes apart.
Rule 4: whatever the server does, the only error is FetchError.
Rule 5: an address of a host that is silent, in TCP or in TLS, does not hold up the others.

For plugins that fetch keys or metadata. This module needs the extra "fetch".
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2 as httpx

from ..errors import ConfigError, FetchError
from .authorities import client_context, verification_in_words
from .connecting import first
from .failover import NoAnswerError
from .host import Address, Host

__all__ = ["LARGEST", "FetchError", "Fetcher", "check_url", "url_problem"]

_log = logging.getLogger("dicomgate.fetch")

LARGEST = 524_288
"""Bytes of a document. A key set with 100 keys and their certificates has 300 kB."""
_HOSTS = 16
"""Hosts whose addresses are remembered. A configuration names one or two, and an issuer's document can name others."""


class Fetcher:
    """Fetches over https, each document within `deadline`.

    `ca` has the certificates (PEM) that servers are verified with, None means the system's; `proxy` is
    "http://host:port". Raises ConfigError.
    """

    def __init__(self, *, ca: Path | None, proxy: str | None, deadline: timedelta) -> None:
        if not timedelta(milliseconds=100) <= deadline <= timedelta(minutes=1):
            raise ConfigError("fetch_timeout: 100ms to 60s")
        self._deadline = deadline.total_seconds()
        self._ca = ca
        try:
            self._tls = client_context(ca)
        except ConfigError as error:
            raise ConfigError(f"ca: {error}") from None
        if proxy is not None and not _has_host(_parts(proxy), "http"):
            raise ConfigError("proxy: must be http://host:port")
        self._proxy = None if proxy is None else httpx.URL(proxy)
        self._hosts: dict[tuple[str, int], Host] = {}

    def until(self) -> float:
        """The deadline of a fetch that begins now, in the event loop's time, to share it between several fetches."""
        return asyncio.get_running_loop().time() + self._deadline

    async def get(self, url: str, *, accept: str = "application/json", until: float | None = None) -> bytes:
        """The document at `url`; `accept` is the media type to ask for. Raises FetchError."""
        return await self._fetch(httpx.Request("GET", url, headers={**_HEADERS, "Accept": accept}), until)

    async def post(
        self, url: str, form: Mapping[str, str], credentials: tuple[str, str] | None, *, until: float | None = None
    ) -> bytes:
        """The response to a form; `credentials` are the gateway's name and secret there, None if they are in the form.

        Raises FetchError.
        """
        request = httpx.Request("POST", url, headers=_HEADERS, data=dict(form))
        if credentials is None:
            return await self._fetch(request, until)
        # RFC 6749 2.3.1: both "encoded using the application/x-www-form-urlencoded encoding algorithm".
        name, secret = map(quote_plus, credentials)
        return await self._fetch(next(httpx.BasicAuth(name, secret).auth_flow(request)), until)

    async def _fetch(self, request: httpx.Request, until: float | None) -> bytes:
        where = f"{request.url.host}:{request.url.port or 443}"
        host = self._host(self._proxy or request.url)
        answers: list[asyncio.Task[bytes]] = []
        begin, kind = partial(self._begin, request, answers), f"fetching from {where}"
        try:
            async with asyncio.timeout_at(self.until() if until is None else until):
                answer = await first(host, begin, _give_up, kind=kind, log=_log)
                return await answer
        except TimeoutError:
            addresses = host.trouble() if host.is_name else ""
            raise FetchError(f"{where}: {addresses or f'no answer within {self._deadline:g} s'}") from None
        except httpx.HTTPError as error:
            raise FetchError(f"{where}: {_said(error, self._ca)}") from None
        except (FetchError, NoAnswerError) as error:
            raise FetchError(f"{where}: {error}") from None
        finally:
            for answer in answers:
                answer.cancel()
            if answers:
                await asyncio.wait(answers)  # they close their connections

    def _host(self, url: httpx.URL) -> Host:
        """The host to connect to; it remembers which of its addresses answers."""
        where = url.raw_host.decode("ascii"), url.port or {"https": 443}.get(url.scheme, 80)
        if where not in self._hosts:
            if len(self._hosts) >= _HOSTS:
                self._hosts.clear()
            self._hosts[where] = Host(*where)
        return self._hosts[where]

    async def _begin(
        self, request: httpx.Request, answers: list[asyncio.Task[bytes]], address: Address
    ) -> asyncio.Task[bytes]:
        """The answer to come, once one address is connected, TLS included. Raises NoAnswerError if it cannot be."""
        connections = _Connections()
        answer = asyncio.create_task(self._answer(request, address, connections))
        answers.append(answer)
        try:
            await asyncio.wait((answer, connections.secured), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if answer.done() and isinstance(error := answer.exception(), httpx.HTTPError):
            said = _said(error, self._ca)
            raise NoAnswerError(f"proxy: {said}" if self._proxy and not connections.opened else said)
        return answer

    async def _answer(self, request: httpx.Request, address: Address, connections: _Connections) -> bytes:
        there, proxy = str(address.socket_address[0]), self._proxy
        asked = request.url if proxy else request.url.copy_with(host=there)
        name = request.url.raw_host.decode("ascii")
        # Connected to the address; the request's Host and the certificate are the name's.
        request = httpx.Request(
            request.method,
            asked,
            headers=request.headers,
            content=request.content,
            extensions={"trace": connections, "sni_hostname": name},
        )
        if proxy is not None:
            proxy = proxy.copy_with(host=there)
        client = httpx.AsyncClient(verify=self._tls, proxy=proxy, trust_env=False, timeout=None)
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
    """Closes the connections of a fetch: the library leaves one open if its TLS handshake is cancelled.

    `secured` is done after the TLS handshake with the server, behind the proxy if there is one.
    """

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.secured = asyncio.get_running_loop().create_future()

    async def __call__(self, event: str, about: Mapping[str, Any]) -> None:
        """Called by the library for each step (its extension "trace")."""
        if event == "connection.connect_tcp.complete":
            self.opened.append(about["return_value"])
        if event.endswith(".start_tls.complete") and not self.secured.done():
            self.secured.set_result(None)

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        for stream in self.opened:
            await stream.aclose()


_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "dicomgate"}


def _give_up(answer: asyncio.Task[bytes]) -> None:
    answer.cancel()


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


def _said(error: Exception, ca: Path | None) -> str:
    """The library's message on one line, for example why a certificate cannot be verified."""
    cause: BaseException | None = error
    while cause is not None:  # the library says "All connection attempts failed" of a single one
        if message := getattr(cause, "verify_message", ""):
            return f"certificate verify failed: {verification_in_words(message, ca)}"
        if isinstance(cause, ConnectionError) and cause.strerror:
            return os.strerror(cause.errno or 0) if cause.errno else cause.strerror
        cause = cause.__cause__ or cause.__context__
    said = " ".join(str(error).split())
    return said[:200] or type(error).__name__
