"""An introspection server (RFC 7662) on loopback: what it says of which token, and what it was asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

from dicomgate.testing.peers.answers import document
from dicomgate.testing.peers.issuer import Issuer

PATH = "/introspect"


class Introspector(Issuer):
    """`tokens` is what it says of a token, not active for all others; with an entry in `answers` it says that."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, object] = {}
        self.asked: list[dict[str, list[str]]] = []
        self.most_at_once = 0
        self.seconds = 0.0
        self._at_once = 0

    @property
    def url(self) -> str:
        return self.name + PATH

    def describe(self, **changes: Any) -> None:
        """Serve a discovery document."""
        described = {"issuer": self.name, "introspection_endpoint": self.url, **changes}
        self.answers["/.well-known/openid-configuration"] = document(json.dumps(described).encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
        method, path, _ = head.split(" ", 2)
        self.requests.append(path)
        self.heads.append(head)
        form = parse_qs((await reader.readexactly(int(headers.get("content-length", "0")))).decode())
        answer = self.answers.get(path)
        if method == "POST":
            self.asked.append(form)
            await self._work()
            answer = answer or document(json.dumps(self.tokens.get(form["token"][0], {"active": False})).encode())
        await (answer or document(b"", status=404))(writer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _work(self) -> None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(self.seconds)
        self._at_once -= 1
