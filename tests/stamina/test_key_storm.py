"""Tokens with invented key names, as fast as they come: the issuer is hardly asked, and no other client notices."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.pacs import Pacs
from dicomgate.testing.peers.answers import Answer, document, mute
from dicomgate.testing.peers.issuer import Issuer, ca_file
from dicomgate.testing.raw_client import CONGESTION, REFUSED_IDENTITY, TRY_LATER, RawClient, login, request
from plugins.jwt.tests.mint import AUDIENCE, P256, RSA, key_set, mint
from tests.stamina.measure import Probe, Shape, scaled, undisturbed
from tests.stamina.process import NOWHERE, GatewayProcess, tables_for
from tests.stamina.stalled_clients import ROOM

TOKENS, WAVES, EVERY = scaled(1000, 150), scaled(12, 1), scaled(5.0, 0.5)
"""All at once, and in the full run again every five seconds for a minute."""
MOST_FETCHES = 5
WAYS: dict[str, tuple[Answer, bytes]] = {
    "answers": (document(key_set(RSA)), REFUSED_IDENTITY),
    "fails": (document(b"", status=500), TRY_LATER),
    "says nothing": (mute, TRY_LATER),
}


@pytest.mark.parametrize("way", WAYS)
def test_invented_key_names(way: str, tmp_path: Path, pacs: Pacs) -> None:
    with Issuer() as issuer:
        issuer.answers["/keys"], expected = WAYS[way]
        tokens = {"use": "jwt", "name": "tokens", "issuer": issuer.name, "audience": AUDIENCE, "timeout": "5s"}
        made = tables_for(pacs.port, settings=ROOM, listener={"authenticators": ["tokens", "quick"]})
        made["authenticator"].append(tokens | {"jwks_url": f"{issuer.name}/keys", "ca": ca_file(issuer, tmp_path)})
        made["throttle"] = {"enabled": False}  # or it would answer most of them itself
        invented = [mint(P256, header={"kid": f"invented-{number}"}, iss=issuer.name) for number in range(TOKENS)]
        with GatewayProcess(tmp_path, made) as gateway, ThreadPoolExecutor(4) as clients:
            address = gateway.address()

            def knock(token: str) -> bytes:
                with RawClient(address) as client:
                    return client.ask(request(login(token, b"", kind=5), called=NOWHERE.encode()))

            genuine = mint(RSA, iss=issuer.name)
            admitted = CONGESTION if expected == REFUSED_IDENTITY else expected  # there is no PACS for them
            assert knock(genuine) == admitted
            before, answers, took = Shape(gateway), set(), 0.0
            with Probe(address) as probe:
                for _ in range(WAVES):
                    began = time.monotonic()
                    answers |= set(clients.map(knock, invented))
                    took = max(took, time.monotonic() - began)
                    time.sleep(max(0.0, EVERY - took))
                result = probe.stop()
            assert answers == {expected}
            assert knock(genuine) == admitted
            assert 1 <= len(issuer.requests) <= MOST_FETCHES
            figures = {"tokens": WAVES * TOKENS, "slowest_wave_s": took, "fetches": len(issuer.requests)}
            undisturbed(f"invented key names, the issuer {way}", before, result, **figures)
