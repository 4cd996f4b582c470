"""An issuer's https server on loopback that does to each path what a test tells it to; a trap; a proxy.

with Issuer() as issuer:
    issuer.answers["/keys"] = document(key_set())
    issuer.answers["/slow"] = dripping
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import trustme

from dicomgate.testing.peers.loopback import HOST, Address

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
_GIB = 2**30


class _Server:
    """A context manager: it listens from `with` on, on one port, with `stop` and `start` in between."""

    def __init__(self) -> None:
        self.connections = 0
        self.address: Address = (HOST, 0)
        self._tls: ssl.SSLContext | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._runner = asyncio.Runner()
        # Clients that go in the middle of a handshake are what the tests are about.
        self._runner.get_loop().set_exception_handler(lambda *_: None)
        self._thread = threading.Thread(target=self._runner.get_loop().run_forever, name="issuer")

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        loop = self._runner.get_loop()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        self._runner.close()

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._serving)

    def start(self) -> None:
        async def start() -> asyncio.Server:
            return await asyncio.start_server(self._connected, *self.address, ssl=self._tls)

        self._server = asyncio.run_coroutine_threadsafe(start(), self._runner.get_loop()).result(timeout=20)
        self.address = self._server.sockets[0].getsockname()

    def stop(self) -> None:
        """Refuse connections, and end those that there are."""

        async def stop() -> None:
            self._server.close()
            for task in self._serving:
                task.cancel()
            if self._serving:
                await asyncio.wait(self._serving)

        asyncio.run_coroutine_threadsafe(stop(), self._runner.get_loop()).result(timeout=20)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(OSError, EOFError, asyncio.CancelledError):  # the client has gone, or the test has
                await self.serve(reader, writer)
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class Issuer(_Server):
    """What it was asked for is in `requests` (paths), `heads` and `bodies`; what it is to do in `answers`, by path."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.heads: list[str] = []
        self.bodies: list[str] = []
        self.authority = trustme.CA()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.show(self.authority.issue_cert(HOST))

    @property
    def name(self) -> str:
        """Its `iss`."""
        return f"https://{HOST}:{self.address[1]}"

    def show(self, certificate: trustme.LeafCert) -> None:
        """Present another certificate from now on."""
        assert self._tls is not None
        certificate.configure_cert(self._tls)

    def wrong_certificates(self) -> dict[str, trustme.LeafCert]:
        """Certificates of another authority, for another name, and of another time."""
        past = datetime.now(UTC) - timedelta(days=1)
        return {
            "of another authority": trustme.CA().issue_cert(HOST),
            "of another name": self.authority.issue_cert("elsewhere.example"),
            "expired": self.authority.issue_cert(HOST, not_before=past - timedelta(days=9), not_after=past),
        }

    def publish(self, keys: bytes, path: str = "/keys") -> None:
        """Serve a discovery document and this key set."""
        self.answers["/.well-known/openid-configuration"] = discovery(self.name, self.name + path)
        self.answers[path] = document(keys)

    def count(self, path: str) -> int:
        return self.requests.count(path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ")[1]
        length = re.search(r"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        self.bodies.append((await reader.readexactly(int(length[1]) if length else 0)).decode())
        self.requests.append(path)
        self.heads.append(head)
        await self.answers.get(path, document(b"", status=404))(writer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


class Trap(_Server):
    """A server that no client may connect to; one that does waits until the trap closes."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass


class Proxy(_Server):
    """A CONNECT proxy (RFC 9110 9.3.6) that answers with this status; `targets` are those it was asked for."""

    def __init__(self, status: int = 200) -> None:
        super().__init__()
        self.targets: list[str] = []
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
        assert method == "CONNECT"
        self.targets.append(target)
        writer.write(f"HTTP/1.1 {self._status} -\r\n\r\n".encode())
        if self._status != 200:
            return
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        try:
            await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))
        finally:
            far_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def document(body: bytes, *headers: str, status: int = 200) -> Answer:
    """An answer as it should be."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(f"Content-Length: {len(body)}", *headers, status=status) + body)

    return answer


def discovery(issuer: str, keys: object) -> Answer:
    """A discovery document."""
    return document(json.dumps({"issuer": issuer, "jwks_uri": keys}).encode())


def redirect(url: str, body: bytes = b"") -> Answer:
    return document(body, f"Location: {url}", status=302)


def compressed(body: bytes, *, says_so: bool) -> Answer:
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
        writer.write(_head(*[f"Content-Length: {_GIB}"] * self._stated))
        for _ in range(_GIB // 65536):
            await _pour(writer, bytes(65536))
            self.sent += 65536


async def endless_headers(writer: asyncio.StreamWriter) -> None:
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


def ca_file(issuer: Issuer, folder: Path) -> Path:
    """The certificate that vouches for this issuer, as an operator has it."""
    path = folder / f"issuer-{issuer.address[1]}.pem"
    issuer.authority.cert_pem.write_to_path(str(path))
    return path
