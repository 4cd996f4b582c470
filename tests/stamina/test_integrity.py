"""What goes in comes out, whatever its sizes and wherever TCP cuts it: equal sums at both ends, and in the audit."""

import json
import os
import secrets
import socket
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bench.processes import PYTHON, Running, running
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST, wait_until
from tests.stamina.measure import report, scaled
from tests.stamina.process import GatewayProcess, tables_for
from tests.stamina.traffic import BLOCK, Account

ASSOCIATIONS = 20
BLOCKS = scaled(52, 6)
"""For each association and direction: 1,040 MiB or 120 MiB in each direction of all together. With fewer the gateway
would have nothing to keep."""
SEED = os.environ.get("DICOMGATE_STAMINA_SEED") or str(secrets.randbelow(1 << 32))


def end(folder: Path, role: str, port_or_fd: int, tls: Path | None, *pass_fds: int) -> AbstractContextManager[Running]:
    """One end of all associations, a process of its own: see traffic.py."""
    arguments = [role, str(port_or_fd), SEED, str(ASSOCIATIONS), str(BLOCKS), str(tls or "")]
    return running([PYTHON, "-m", "tests.stamina.traffic", *arguments], folder, role, pass_fds=pass_fds)


def accounts(end: Running) -> dict[int, Account]:
    """What it said at its end; it wrote no complaint."""
    assert end.process.wait(timeout=300) == 0, end.tail()
    said = [Account(**json.loads(line)) for line in end.log.read_text().splitlines()]
    return {account.association: account for account in said}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("client_tls", "upstream_tls"), [(False, False), (True, False), (True, True)])
def test_all_arrives_as_it_was_sent(
    client_tls: bool, upstream_tls: bool, certificates: Certificates, tmp_path: Path
) -> None:
    own = {"certificate": certificates.server.certificate, "key": certificates.server.key}
    listener = {"tls": own, "cleartext_passcodes": False} if client_tls else {}
    folder = certificates.ca.parent
    with socket.create_server((HOST, 0), backlog=ASSOCIATIONS) as waiting:
        upstream = {"timeout": "60s"} | ({"tls": {"ca": certificates.ca}} if upstream_tls else {})
        tables = tables_for(waiting.getsockname()[1], listener=listener, pacs=upstream)
        with (
            GatewayProcess(tmp_path, tables) as gateway,
            end(tmp_path, "pacs", waiting.fileno(), folder if upstream_tls else None, waiting.fileno()) as pacs,
            end(tmp_path, "clients", gateway.address()[1], folder if client_tls else None) as clients,
        ):
            began = time.monotonic()
            sent, received = accounts(clients), accounts(pacs)
            seconds = time.monotonic() - began
            assert sorted(sent) == sorted(received) == list(range(ASSOCIATIONS))
            for number in range(ASSOCIATIONS):
                assert sent[number].sent == received[number].received
                assert received[number].sent == sent[number].received
            assert len({account.sent for account in (*sent.values(), *received.values())}) == 2 * ASSOCIATIONS
            check_audit(gateway, sent, received)
    report(
        f"integrity, {'TLS' if client_tls else 'plain'} clients, {'TLS' if upstream_tls else 'plain'} upstream",
        seed=SEED,
        associations=ASSOCIATIONS,
        mib_each_way=ASSOCIATIONS * BLOCKS * BLOCK >> 20,
        pdus=sum(account.pdus for account in (*sent.values(), *received.values())),
        seconds=seconds,
    )


def check_audit(gateway: GatewayProcess, clients: dict[int, Account], pacs: dict[int, Account]) -> None:
    """Each Closed record says what was sent, with the PDUs of the release."""
    wait_until(lambda: len(gateway.told("Closed")) >= len(clients), "the records of all ends")
    numbers = {record["id"]: int(record["calling_ae_title"]) for record in gateway.told("Established")}
    closed = {numbers[record["id"]]: record for record in gateway.told("Closed")}
    assert sorted(closed) == sorted(clients)
    for number, record in closed.items():
        assert record["cause"] == "released"
        assert record["bytes_from_client"] == record["bytes_from_upstream"] == BLOCKS * BLOCK + 10
        assert record["pdus_from_client"] == clients[number].pdus + 1
        assert record["pdus_from_upstream"] == pacs[number].pdus + 1
