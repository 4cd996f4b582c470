"""A token that expires in the middle of a long C-STORE ends the association, where the listener has it so."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.raw_client import RawClient, item, p_data, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from plugins.jwt.tests.mint import AUDIENCE, ISSUER, RSA, mint, written

LIFE = 3  # seconds
_FRAGMENT = p_data(bytes(10_000))

Start = Callable[..., Gateway]


def token_login(life: int) -> bytes:
    """An A-ASSOCIATE-RQ with a token that lives so long."""
    now = int(time.time())
    field = mint(iat=now, exp=now + life).encode()
    return request(item(0x58, b"\5\0" + struct.pack(">H", len(field)) + field + b"\0\0"))


@pytest.fixture
def start(gateway: StartGateway, tmp_path: Path) -> Iterator[Start]:
    """Start a gateway for tokens, in front of a PACS that takes data without an answer, and then a release."""
    with Spy([accept_all, *[b""] * 20, RELEASE_RP]) as pacs:

        def start(**listener: object) -> Gateway:
            tables = configuration(pacs.address, listener=listener)
            key = str(written(tmp_path / "issuer.pem", RSA.pem))
            judge = {"use": "jwt", "name": "tokens", "issuer": ISSUER, "audience": AUDIENCE, "public_key_file": key}
            tables["authenticator"] = [{**judge, "timeout": "20s"}]
            return gateway(tables)

        yield start


def test_the_association_ends_with_the_token(start: Start) -> None:
    running = start()
    with RawClient(running.address) as client:
        login = token_login(LIFE)
        ends = time.time() + LIFE
        assert client.ask(login)[0] == 2
        with suppress(OSError):  # the end, in the middle of what we send
            while not running.told("Closed") and time.time() < ends + 5:
                client.send(_FRAGMENT)
                time.sleep(0.3)
    (closed,) = running.wait_for("Closed")
    assert time.time() < ends + 5
    assert closed["cause"] == "the credential expired"
    assert closed["bytes_from_client"] >= 2 * len(_FRAGMENT)
    assert running.told("Decided")[0]["user"] == "ada"


def test_it_goes_on_where_the_listener_has_it_so(start: Start) -> None:
    running = start(end_with_credential=False)
    with RawClient(running.address) as client:
        assert client.ask(token_login(2))[0] == 2
        for _ in range(20):
            client.send(_FRAGMENT)
            time.sleep(0.15)
        assert client.release() == RELEASE_RP
    (closed,) = running.wait_for("Closed")
    assert closed["cause"] == "released"
    assert closed["seconds"] > 2
    # For a new one the end counts.
    with RawClient(running.address) as late:
        assert late.ask(token_login(-60))[0] == 3
    assert "expired" in running.wait_for("Refused")[0]["reason"]
