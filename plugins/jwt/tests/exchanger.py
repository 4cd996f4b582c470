"""A provider on loopback that exchanges tokens as RFC 8693 says: the users' are RSA's, its own are P256's."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qs

import jwt

from dicomgate.testing.peers.answers import document
from dicomgate.testing.peers.issuer import Issuer
from plugins.jwt.tests.mint import AUDIENCE, P256, RSA, mint

PATH = "/token"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
PACS = "https://archive.hospital.example"


class Exchanger(Issuer):
    """What it was sent is in `forms`. It takes `seconds`, tokens live for `lifetime`; `changes` are to its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.changes: dict[str, Any] = {}
        self.seconds = 0.0
        self.lifetime = 600

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        body = (await reader.readexactly(int(length[1]) if length else 0)).decode()
        self.heads.append(head)
        form = {name: value for name, (value,) in parse_qs(body).items()}
        self.forms.append(form)
        await asyncio.sleep(self.seconds)
        await self.answers.get(PATH, self._exchanged(form))(writer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def _exchanged(self, form: dict[str, str]) -> Any:
        """RFC 8693 2.2; 2.2.2 for a subject token that is not valid. RFC 6749 4.4 for a client's own token."""
        if form.get("grant_type") == "client_credentials":
            return document(json.dumps({"access_token": mint(P256), "token_type": "Bearer"}).encode())
        try:
            assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
            assert form["subject_token_type"] == ACCESS_TOKEN
            subject = jwt.decode(form["subject_token"], RSA.private.public_key(), ["RS256"], audience=AUDIENCE)
        except (AssertionError, KeyError, jwt.InvalidTokenError):
            return document(b'{"error": "invalid_request"}', status=400)
        issued = mint(P256, iss=self.name, aud=form.get("audience", PACS), sub=subject["sub"], jti=str(len(self.forms)))
        answer = {
            "access_token": issued,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            **self.changes,
        }
        return document(json.dumps({name: value for name, value in answer.items() if value is not ...}).encode())
