"""An issuer's https server on loopback that does to each path what a test tells it to; a trap; a proxy.

with Issuer() as issuer:
    issuer.answers["/keys"] = document(key_set())
    issuer.answers["/slow"] = dripping
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import trustme

from .answers import Answer, discovery, document
from .loopback import HOST, Address


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
        """Serve one connection."""
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
        self.show(self.authority.issue_cert(HOST, "localhost"))

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
            "of another authority": trustme.CA().issue_cert(HOST, "localhost"),
            "of another name": self.authority.issue_cert("elsewhere.example"),
            "expired": self.authority.issue_cert(HOST, not_before=past - timedelta(days=9), not_after=past),
        }

    def publish(self, keys: bytes, path: str = "/keys") -> None:
        """Serve a discovery document and this key set."""
        self.answers["/.well-known/openid-configuration"] = discovery(self.name, self.name + path)
        self.answers[path] = document(keys)

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return self.requests.count(path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
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
        """Serve one connection."""
        while await reader.read(65536):
            pass


class Proxy(_Server):
    """A CONNECT proxy (RFC 9110 9.3.6) that answers with this status; `targets` are those it was asked for."""

    def __init__(self, status: int = 200) -> None:
        super().__init__()
        self.targets: list[str] = []
        self._status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
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


def ca_file(issuer: Issuer, folder: Path) -> Path:
    """The certificate that vouches for this issuer, as an operator has it."""
    path = folder / f"issuer-{issuer.address[1]}.pem"
    issuer.authority.cert_pem.write_to_path(str(path))
    return path
