"""One gateway with a page for all tests of a module, and what asks it."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from dicomgate.testing.evidence import ALICE, ZOE, Evidence
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.system_gateway import USERS, Gateway, configuration, gateways

PASSCODES = {"alice": ALICE.decode(), "zoë": ZOE.decode(), "bob": ALICE.decode()}
ADMIN = {"bind": "127.0.0.1:0", "viewers": ["user:staff/zoë"], "operators": ["user:staff/alice"]}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def cookie(self) -> str:
        """What it sets, without its attributes."""
        return self.headers.get("set-cookie", "").partition(";")[0]

    @property
    def token(self) -> str:
        """That of the forms of the page."""
        found = re.search(r'name="token" value="([^"]+)"', self.text)
        assert found is not None
        return found[1]


class Web:
    """The page of a running gateway, as a program without mercy asks for it."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    @property
    def address(self) -> tuple[str, int]:
        sock = self.gateway.server.generation.page_socket
        assert sock is not None
        host, port = sock.getsockname()
        return str(host), int(port)

    @property
    def host(self) -> str:
        return "{}:{}".format(*self.address)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            sent = {"Host": self.host, **{name.replace("_", "-"): value for name, value in headers.items()}}
            connection.request(method, path, body.encode() or None, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read().decode())
        finally:
            connection.close()

    def get(self, path: str = "/", cookie: str = "") -> Answer:
        return self.ask("GET", path, Cookie=cookie)

    def post(self, path: str, cookie: str = "", origin: str | None = None, **fields: str) -> Answer:
        about = {"Origin": origin or f"http://{self.host}", "Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, urlencode(fields), Cookie=cookie, **about)

    def log_in(self, user: str) -> tuple[str, str]:
        """The cookie, and the token of the forms."""
        answer = self.post("/login", user=user, passcode=PASSCODES[user])
        assert answer.status == 303, answer.text
        return answer.cookie, self.get("/", answer.cookie).token

    def operated(self, **fields: object) -> list[dict[str, Any]]:
        return self.gateway.told("Operated", **fields)


@pytest.fixture(scope="module")
def web(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    users = {**USERS, "bob": USERS["alice"]}
    with (
        Spy([accept_all, RELEASE_RP]) as spy,
        gateways(evidence, tmp_path_factory.mktemp("web")) as start,
    ):
        yield Web(start({**configuration(spy.address), "admin": ADMIN}, users))
