"""Over the wire: clients that cannot send an identity, a gateway with this authenticator, a real Orthanc."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.peers.dcmtk import Finished
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.nameless import CLIENTS, ask_for, check_logins
from dicomgate.testing.peers.orthanc import Orthanc
from dicomgate.testing.peers.spy import RELEASE_RP, Spy
from dicomgate.testing.raw_client import REFUSED_IDENTITY, RELEASE_RQ, RawClient, request
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration

HERE, ELSEWHERE = {"networks": ["127.0.0.0/30"]}, {"networks": ["10.1.2.0/24"]}
DEVICES = {"CT1": {**HERE, "groups": ["modalities"]}, "MR1": {**HERE, "user": "mr-1"}, "US1": ELSEWHERE}


def tables(upstream: Address) -> dict[str, Any]:
    """The first listener takes attempts without identity, the second requires one."""
    made = configuration(upstream, listener={"identity": "optional"})
    (listener,) = made["listener"]
    made["listener"] += [{**listener, "name": "staff", "bind": "127.0.0.2:0", "identity": "required"}]
    made["authenticator"] = [{"use": "network", "name": "devices", "devices": DEVICES}]
    return made


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_cannot_log_in(gateway: StartGateway, orthanc: Orthanc, tmp_path: Path, client: str) -> None:
    running = gateway(tables(orthanc.address))
    optional, required = running.server.bound.values()

    def ask(study: str, received: Path, address: Address, calling: str) -> Finished:
        return ask_for(study, client, address, orthanc, received, calling, [])

    cases = (required, "CT1"), (optional, "US1"), (optional, "CT2"), (optional, "CT1")
    accepted, reasons = check_logins(client, ask, orthanc, running, tmp_path, *cases)
    assert (accepted["authenticator"], accepted["user"], accepted["groups"]) == ("devices", "CT1", ["modalities"])
    assert accepted["attributes"] == {"network": "127.0.0.0/30"}
    assert reasons == [
        "no user identity, and the listener requires one",
        "devices: device 'US1' may not come from 127.0.0.1: that is in none of its networks",
        "devices: no device has the calling AE title 'CT2'",
    ]
    assert len(running.told("Decided")) == 3, "where an identity is required no authenticator is asked"


def log_in(running: Gateway, calling: str, source: str = "") -> bytes:
    with RawClient(running.address, source=source) as client:
        answer = client.ask(request().replace(b"RAW".ljust(16), calling.encode().ljust(16)))
        if answer[:1] == b"\2":
            assert client.ask(RELEASE_RQ) == RELEASE_RP
        return answer


def test_where_it_comes_from(gateway: StartGateway, spy: Spy) -> None:
    running = gateway(tables(spy.address))
    assert log_in(running, "MR1", "127.0.0.2")[:1] == b"\2"
    assert log_in(running, "MR1", "127.0.0.5") == REFUSED_IDENTITY
    assert running.wait_for("Decided", outcome="accept")[0]["user"] == "mr-1"


def test_good_logins_are_not_throttled_and_guesses_are(gateway: StartGateway, spy: Spy) -> None:
    """Attempts without an identity are counted by their source: five go ahead here, then one waits."""
    made = tables(spy.address) | {"throttle": {"source_free": 5}}
    running = gateway(made)
    for calling in ["CT1"] * 15 + ["CT1", "MR1"] * 15:
        assert log_in(running, calling)[:1] == b"\2"
    # One that asks for the same again and again is refused, and has guessed once.
    for calling in ["CT9"] * 10 + [f"CT{number}" for number in range(10, 20)]:
        assert log_in(running, calling, "127.0.0.2") == REFUSED_IDENTITY
    begins = [one["reason"].partition(" ")[0] for one in running.told("Decided", outcome="reject")]
    assert begins == ["no"] + ["the"] * 9 + ["no"] * 4 + ["throttled:"] * 6
    # The source waits, whatever it says it is; another one does not.
    assert log_in(running, "CT1", "127.0.0.2") == REFUSED_IDENTITY
    assert log_in(running, "CT1")[:1] == b"\2"
