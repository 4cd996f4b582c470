"""Over the wire: real clients, a gateway with this authenticator, a real FreeRADIUS that comes and goes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyrad.packet import AccessChallenge

from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.dcmtk import storescu
from dicomgate.testing.peers.loopback import Address
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.pynetdicom_scu import associate, user_identity
from dicomgate.testing.slices import ct_slice
from dicomgate.testing.system_gateway import Gateway, StartGateway, configuration
from plugins.radius.tests.forger import Forger, answer
from plugins.radius.tests.freeradius import PAGE, SECRET, FreeRadius

OPTIONS = {"use": "radius", "name": "staff", "timeout": "5s", "attempt_timeout": "2s"}
RIGHT, NOT_RIGHT, TRY_LATER = None, (1, 2, 1), (2, 2, 1)


@pytest.fixture
def start(gateway: StartGateway, secret_file: Path) -> Callable[..., Gateway]:
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


def log_in(address: Address, secret: bytes = ALICE) -> tuple[int, int, int] | None:
    """How the login of alice is refused; None if it is not."""
    while True:
        with associate(address, identity=user_identity(2, b"alice", secret)) as association:
            if association.is_established:
                assert association.send_c_echo().Status == 0
                return RIGHT
            if association.is_rejected:
                refusal = association.acceptor.primitive
                return refusal.result, refusal.result_source, refusal.diagnostic
            # One rejection in some hundreds, if it comes at once, pynetdicom 3.0.4 takes for an abort.
            assert association.is_aborted


def test_storescu_logs_in_and_stores(start: Callable[..., Gateway], freeradius: FreeRadius, tmp_path: Path) -> None:
    ct_slice(tmp_path / "ct.dcm")
    with PynetdicomPacs() as pacs:
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


def test_the_server_stops_and_hangs_and_comes_back(start: Callable[..., Gateway], own_freeradius: FreeRadius) -> None:
    with PynetdicomPacs() as pacs:
        running = start(pacs.address, own_freeradius.address)
        _, devices = running.server.bound.values()
        assert log_in(running.address) == RIGHT
        assert log_in(running.address, WRONG) == NOT_RIGHT
        for fault, remedy in (("stop", "start"), ("hang", "go_on")):
            getattr(own_freeradius, fault)()
            with ThreadPoolExecutor(4) as clients:
                hopeless = [clients.submit(log_in, running.address) for _ in range(4)]
                assert log_in(devices) == RIGHT
                assert [one.result() for one in hopeless] == [TRY_LATER] * 4
            assert log_in(running.address, WRONG + fault.encode()) == TRY_LATER
            getattr(own_freeradius, remedy)()
            assert log_in(running.address) == RIGHT
        unavailable = running.told("Decided", outcome="unavailable")
        assert [one["reason"].partition(": ")[2][:9] for one in unavailable] == ["Connectio"] * 5 + ["no answer"] * 5
        # Its own deadline was kept: the gateway's never was.
        assert "no answer within 5 s" not in running.log()


def test_answers_that_are_not_believed(start: Callable[..., Gateway], secret_file: Path) -> None:
    with PynetdicomPacs() as pacs, Forger(lambda request: [answer(request, signed=False)]) as forger:
        running = start(pacs.address, forger.address)
        assert log_in(running.address) == TRY_LATER
        assert "no Message-Authenticator" in running.wait_for("Decided")[0]["reason"]
        assert pacs.associations == []
    with PynetdicomPacs() as pacs, Forger(lambda request: [answer(request)]) as honest:
        assert log_in(start(pacs.address, honest.address).address) == RIGHT


def test_a_second_step(start: Callable[..., Gateway]) -> None:
    with PynetdicomPacs() as pacs, Forger(lambda request: [answer(request, AccessChallenge)]) as forger:
        assert log_in(start(pacs.address, forger.address).address) == NOT_RIGHT


def test_a_reply_message_cannot_forge_a_log_line(start: Callable[..., Gateway]) -> None:
    message = b"locked\nERROR forged \x1b[31m"
    with PynetdicomPacs() as pacs, Forger(lambda request: [answer(request, 3, attributes=[(18, message)])]) as forger:
        running = start(pacs.address, forger.address)
        assert log_in(running.address) == NOT_RIGHT
        assert running.wait_for("Decided")[0]["reason"].endswith(" rejects: locked\nERROR forged \x1b[31m")
        assert "forged" in running.log()
        assert not [line for line in running.log().splitlines() if line.startswith("ERROR forged") or "\x1b" in line]


def test_another_secret_after_a_reload(
    start: Callable[..., Gateway], freeradius: FreeRadius, secret_file: Path
) -> None:
    secret_file.write_bytes(SECRET[::-1])
    with PynetdicomPacs() as pacs:
        running = start(pacs.address, freeradius.address)
        assert log_in(running.address) == TRY_LATER
        secret_file.write_bytes(SECRET)
        assert running.reload()
        assert log_in(running.address) == RIGHT
        secret_file.chmod(0o644)
        assert not running.reload()
        assert f"{secret_file}: everybody may read or write this file" in running.log()
        assert log_in(running.address) == RIGHT


def test_the_configuration_of_the_page(gateway: StartGateway, freeradius: FreeRadius, secret_file: Path) -> None:
    (text,) = [block for block in PAGE.read_text("utf-8").split("```") if block.startswith("toml\n[[listener]]")]
    shown = tomllib.loads(text.removeprefix("toml\n"))
    (radius,) = shown["authenticator"]
    assert len(radius["servers"]) == 2
    with PynetdicomPacs() as pacs:
        tables = {**configuration(pacs.address), "authenticator": [radius]}
        radius |= {"servers": [freeradius.address, "127.0.0.1:9"], "secret_file": str(secret_file)}
        running = gateway(tables)
        assert log_in(running.address) == RIGHT
        assert log_in(running.address, WRONG) == NOT_RIGHT
        assert sorted(running.wait_for("Decided", outcome="accept")[0]["groups"]) == ["ct", "radiology", "staff"]
