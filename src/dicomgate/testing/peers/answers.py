"""What an https server may answer, good or bad: for `issuer.Issuer`, by path."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
_GIB = 2**30


def document(body: bytes, *headers: str, status: int = 200) -> Answer:
    """An answer as it should be."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(f"Content-Length: {len(body)}", *headers, status=status) + body)

    return answer


def discovery(issuer: str, keys: object) -> Answer:
    """A discovery document."""
    return document(json.dumps({"issuer": issuer, "jwks_uri": keys}).encode())


def redirect(url: str, body: bytes = b"") -> Answer:
    """A redirect (302)."""
    return document(body, f"Location: {url}", status=302)


def compressed(body: bytes, *, says_so: bool) -> Answer:
    """A gzipped body, with or without the header that says so."""
    return document(gzip.compress(body), *["Content-Encoding: gzip"] * says_so)


async def mute(writer: asyncio.StreamWriter) -> None:
    """Not even a status line."""
    await asyncio.sleep(3600)


async def slow(writer: asyncio.StreamWriter) -> None:
    """Five seconds until the first byte."""
    await asyncio.sleep(5)
    writer.write(_head("Content-Length: 0"))


async def dripping(writer: asyncio.StreamWriter) -> None:
    """A byte of the body every 0.2 s."""
    writer.write(_head("Content-Length: 100000"))
    await _drip(writer, b"x" * 100_000)


async def dripping_headers(writer: asyncio.StreamWriter) -> None:
    """A byte of the headers every 0.2 s."""
    await _drip(writer, _head(*(f"X-{number}: x" for number in range(1000))))


async def broken_off(writer: asyncio.StreamWriter) -> None:
    """The end of the connection in the middle of the body."""
    writer.write(_head("Content-Length: 1000") + b'{"keys": [')


async def nonsense(writer: asyncio.StreamWriter) -> None:
    """No HTTP."""
    writer.write(b"\x16\x03\x01 what?\r\n\r\n")


class Huge:
    """A body of 1 GiB; `sent` is how much of it was taken."""

    def __init__(self, *, stated: bool) -> None:
        self.sent = 0
        self._stated = stated

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        """Send it, as long as the client takes it."""
        writer.write(_head(*[f"Content-Length: {_GIB}"] * self._stated))
        for _ in range(_GIB // 65536):
            await _pour(writer, bytes(65536))
            self.sent += 65536


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    """1 GiB of headers."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(_GIB // 65536):
        await _pour(writer, b"X: " + b"x" * 65536 + b"\r\n")


async def crumbs(writer: asyncio.StreamWriter) -> None:
    """A body of a million chunks, a byte each (RFC 9112 7.1)."""
    writer.write(_head("Transfer-Encoding: chunked"))
    for _ in range(1000):
        await _pour(writer, b"1\r\nx\r\n" * 1000)


async def _pour(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0)  # in which the loop sees that the client has gone


async def _drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.2)


def _head(*headers: str, status: int = 200) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} -", *headers, "Connection: close", "", ""]).encode()


FAULTS: dict[str, tuple[Answer, str]] = {
    **{
        f"status {status}": (document(b'{"active": true, "sub": "ada"}', status=status), f"with status {status}")
        for status in (201, 204, 400, 401, 403, 404, 429, 500, 503)
    },
    "mute": (mute, "no answer within"),
    "5 s to the headers": (slow, "no answer within"),
    "dripping": (dripping, "no answer within"),
    "dripping headers": (dripping_headers, "no answer within"),
    "1 GiB": (Huge(stated=True), "answers with more than 524288 bytes"),
    "1 GiB, not stated": (Huge(stated=False), "answers with more than 524288 bytes"),
    "1 GiB of headers": (endless_headers, "Receive buffer too long"),
    "crumbs": (crumbs, "answers with more than 524288 bytes|no answer within"),
    "a bomb": (compressed(bytes(2**26), says_so=True), "compressed document"),
    "broken off": (broken_off, "peer closed connection"),
    "no HTTP": (nonsense, "illegal status line"),
}
"""What an issuer may do to its clients, and what the error then says; without faults that need another port."""
