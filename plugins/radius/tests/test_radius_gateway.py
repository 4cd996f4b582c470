"""Over the wire: real clients, a gateway with this authenticator, a real FreeRADIUS that comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.pages import configurations
from dicomgate.testing.peers.dcmtk import storescu
from dicomgate.testing.peers.freeradius import PAGE, SECRET, FreeRadius
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.raw_client import REFUSED_IDENTITY, TRY_LATER, log_in, login
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from plugins.radius.tests.forger import Forger, answer

Start = Callable[..., Gateway]
OPTIONS = {"use": "radius", "name": "staff", "timeout": "5s", "attempt_timeout": "2s"}
ACCEPTED = 2  # the type of an A-ASSOCIATE-AC, PS3.8 9.3.3


@pytest.fixture
def start(gateway: StartGateway, secret_file: Path) -> Start:
    """Start a gateway: the first listener asks these RADIUS servers, the second one a file."""

    def start(upstream: Address, *servers: str, **options: Any) -> Gateway:
        tables = configuration(upstream)
        (listener,), (file,) = tables["listener"], tables["authenticator"]
        radius = {**OPTIONS, "servers": list(servers), "secret_file": str(secret_file), **options}
        tables["authenticator"] = [radius, {**file, "name": "file"}]
        devices = {**listener, "name": "devices", "bind": "127.0.0.2:0", "authenticators": ["file"]}
        tables["listener"] = [{**listener, "authenticators": ["staff"]}, devices]
        return gateway(tables)

    return start


def alice(running: Gateway, secret: bytes = ALICE, address: Address | None = None) -> bytes:
    """The answer to a login of alice."""
    return log_in(address or running.address, [login("alice", secret)])


def test_storescu_logs_in_and_stores(
    start: Start, pacs: PynetdicomPacs, freeradius: FreeRadius, tmp_path: Path
) -> None:
    ct_slice(tmp_path / "ct.dcm")
    running = start(pacs.address, freeradius.address)
    for secret in (WRONG, ALICE):
        options = ["-usr", "alice", "-pwd", secret.decode()]
        sent = storescu(running.address, tmp_path / "ct.dcm", called="PACS", options=options)
        assert (sent.status == 0) == (secret == ALICE), sent.output
    assert len(pacs.stored) == len(pacs.associations) == 1
    (accepted,) = running.wait_for("Decided", outcome="accept")
    assert accepted["user"] == "alice"
    assert sorted(accepted["groups"]) == ["ct", "radiology"]
    (refused,) = running.wait_for("Decided", outcome="reject")
    assert refused["reason"] == f"{freeradius.address} rejects"


def test_the_server_stops_and_hangs_and_comes_back(
    start: Start, pacs: PynetdicomPacs, own_freeradius: FreeRadius
) -> None:
    running = start(pacs.address, own_freeradius.address)
    _, devices = running.server.bound.values()
    assert alice(running)[0] == ACCEPTED
    assert alice(running, WRONG) == REFUSED_IDENTITY
    for fault, remedy in (("stop", "start"), ("hang", "go_on")):
        getattr(own_freeradius, fault)()
        with ThreadPoolExecutor(4) as clients:
            hopeless = [clients.submit(alice, running) for _ in range(4)]
            assert alice(running, address=devices)[0] == ACCEPTED
            assert [one.result() for one in hopeless] == [TRY_LATER] * 4
        assert alice(running, WRONG + fault.encode()) == TRY_LATER
        getattr(own_freeradius, remedy)()
        assert alice(running)[0] == ACCEPTED
    unavailable = running.told("Decided", outcome="unavailable")
    assert [one["reason"].partition(": ")[2][:9] for one in unavailable] == ["Connectio"] * 5 + ["no answer"] * 5
    # Its own deadline was kept: the gateway's never was.
    assert "no answer within 5 s" not in running.log()


def test_a_reply_message_cannot_forge_a_log_line(start: Start, pacs: PynetdicomPacs) -> None:
    message = b"locked\nERROR forged \x1b[31m"
    with Forger(lambda request: [answer(request, 3, attributes=[(18, message)])]) as forger:
        running = start(pacs.address, forger.address)
        assert alice(running) == REFUSED_IDENTITY
        assert running.wait_for("Decided")[0]["reason"].endswith(" rejects: locked\nERROR forged \x1b[31m")
        assert "forged" in running.log()
        assert not [line for line in running.log().splitlines() if line.startswith("ERROR forged") or "\x1b" in line]


def test_another_secret_after_a_reload(
    start: Start, pacs: PynetdicomPacs, freeradius: FreeRadius, secret_file: Path
) -> None:
    secret_file.write_bytes(SECRET[::-1])
    running = start(pacs.address, freeradius.address)
    assert alice(running) == TRY_LATER
    assert "another shared secret" in running.wait_for("Decided")[0]["reason"]
    secret_file.write_bytes(SECRET)
    assert running.reload()
    assert alice(running)[0] == ACCEPTED
    secret_file.chmod(0o644)
    assert not running.reload()
    assert f"{secret_file}: everybody may read or write this file" in running.log()
    assert alice(running)[0] == ACCEPTED


def test_the_configuration_of_the_page(
    gateway: StartGateway, pacs: PynetdicomPacs, freeradius: FreeRadius, secret_file: Path
) -> None:
    (shown,) = configurations(PAGE)
    (radius,) = shown["authenticator"]
    assert len(radius["servers"]) == 2
    tables = {**configuration(pacs.address), "authenticator": [radius]}
    radius |= {"servers": [freeradius.address, "127.0.0.1:9"], "secret_file": str(secret_file)}
    running = gateway(tables)
    assert alice(running)[0] == ACCEPTED
    assert alice(running, WRONG) == REFUSED_IDENTITY
    assert sorted(running.wait_for("Decided", outcome="accept")[0]["groups"]) == ["ct", "radiology", "staff"]
