"""Tools that cannot log in, through an egress, into a gateway that requires a login over TLS, to a PACS.

The egress is the one that `dicomgate init --egress` writes, with addresses of this machine, one more device and a
listener for those who show a certificate.
"""

import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from dicomgate.auth.loading import installed
from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.evidence import ALICE, WRONG, Evidence
from dicomgate.testing.gateway import Table
from dicomgate.testing.kdc import NEEDED, OTHER_SERVICE, SERVICE, run_kdc
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.dcmtk import run_scu, tls_options
from dicomgate.testing.peers.loopback import HOST, Address
from dicomgate.testing.peers.recorder import Recorder
from dicomgate.testing.system_gateway import STAFF, USERS, Gateway, add_listener, configuration, gateways
from tests.system.hospital import Hospital, hospital
from tests.system.operations import dcmtk

WORK = ("echo", "store", "find", "get", "move")
TEMPLATE = files("dicomgate.cli").joinpath("egress.toml").read_text("utf-8")
ISSUER, AUDIENCE = "https://egress-1.hospital.example", "gate.hospital.example"


@dataclass
class Chain:
    """Tools -> egress -> recorder -> remote gateway -> PACS. `account` is as whom VIEWER is known there."""

    hospital: Hospital
    egress: Gateway
    between: Recorder
    remote: Gateway
    account: str


def passcode(folder: Path, _: ExitStack) -> tuple[Table, Table, str]:
    """The `[[credential]]` here, the `[[authenticator]]` there, and who it says VIEWER is."""
    file = folder / "egress.passcode"
    file.touch(mode=0o600)
    file.write_bytes(ALICE)
    return {"passcode_file": str(file)}, STAFF, "egress-1"


def minted(folder: Path, _: ExitStack) -> tuple[Table, Table, str]:
    """The same for a token of the egress's own."""
    key, published = folder / "minted.key", folder / "published.json"
    key.touch(mode=0o600)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    published.write_bytes(dicomgate("jwt", "jwks", key).stdout.encode())
    says = {"issuer": ISSUER, "audience": AUDIENCE}
    here = {"use": "minted", "name": "account", "key_file": str(key), **says}
    return here, {"use": "jwt", "name": "staff", "jwks_file": str(published), **says}, "VIEWER"


def ticket(folder: Path, stack: ExitStack) -> tuple[Table, Table, str]:
    """The same for a Kerberos ticket, from a KDC that runs as long as the chain."""
    if NEEDED or "kerberos" not in installed():
        pytest.skip(f"not installed: the kerberos plugin, or {', '.join(NEEDED)}")
    (folder / "kdc").mkdir()
    kdc = stack.enter_context(run_kdc(folder / "kdc"))
    environment = stack.enter_context(pytest.MonkeyPatch.context())
    environment.setenv("KRB5_CONFIG", str(kdc.configuration))
    environment.setenv("KRB5RCACHENAME", "")  # the authenticator sets it: so that it is restored
    environment.delenv("KRB5RCACHENAME")
    here = {"use": "ticket", "name": "account", "service": SERVICE, "principal": OTHER_SERVICE}
    here["keytab"] = str(kdc.keytab(OTHER_SERVICE, name="egress.keytab"))
    there = {"use": "kerberos", "name": "staff", "principal": SERVICE, "keytab": str(kdc.keytab(SERVICE))}
    return here, {**there, "replay_cache": str(folder / "replays")}, OTHER_SERVICE


def egress_to(remote: Address, certificates: Certificates, credential: Table) -> dict[str, Any]:
    """The tables that `dicomgate init --egress` writes, changed as its reader changes them."""
    tables = tomllib.loads(TEMPLATE)
    tables["gateway"]["drain_timeout"] = "20s"
    tables["listener"][0]["bind"] = f"{HOST}:0"
    tables["listener"][0]["authenticators"] = ["here"]
    address = {"address": f"{HOST}:{remote[1]}", "tls": {"ca": certificates.ca}, "timeout": "20s"}
    tables["upstream"][0] |= address
    own = tables["credential"][0] if "use" not in credential else {}
    tables["credential"][0] = {**own, **credential, "timeout": "20s"}
    tables["authenticator"][0]["devices"]["VIEWER"] = {"networks": [HOST]}
    tables["authenticator"].append(
        {"use": "certificate", "name": "shown", "certificates": {"dns:client.test": {"user": "client"}}}
    )
    server = certificates.server
    tls = {"certificate": server.certificate, "key": server.key, "client_ca": certificates.ca}
    add_listener(tables, "secured", authenticators=["shown"], tls=tls)
    return tables


CHAINS = [("dcmqrscp", passcode), ("orthanc", minted), ("dcmqrscp", ticket)]


@pytest.fixture(scope="module", params=CHAINS, ids=[login.__name__ for _, login in CHAINS])
def chain(
    request: pytest.FixtureRequest,
    evidence: Evidence,
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Chain]:
    pacs, login = request.param
    folder = tmp_path_factory.mktemp(pacs)
    with ExitStack() as stack, hospital(folder, [pacs]) as running, gateways(evidence, folder) as start:
        here, there, account = login(folder, stack)
        server = certificates.server
        listener = {"cleartext_passcodes": False, "tls": {"certificate": server.certificate, "key": server.key}}
        remote = start(configuration(running.pacs[pacs], there, listener=listener), {"egress-1": USERS["alice"]})
        with Recorder(remote.address) as between:
            egress = start(egress_to(between.address, certificates, here), {})
            yield Chain(running, egress, between, remote, account)


def test_debians_tools_do_their_work_with_the_login_of_the_egress(chain: Chain) -> None:
    did = dcmtk(chain.egress.address, chain.hospital.work("VIEWER"), WORK)
    assert did == dict.fromkeys(WORK, True)
    assert chain.hospital.moved() == [3, 0]
    accepted = chain.remote.wait_for("Decided", len(WORK), outcome="accept")
    assert {(record["user"], record["calling_ae_title"]) for record in accepted} == {(chain.account, "VIEWER")}
    for conversation in chain.between.taken():
        said = conversation.by(client=True)
        assert said.startswith(b"\x16\x03")  # TLS from the first byte
        assert ALICE not in said


def test_without_it_the_same_tool_is_refused(chain: Chain, certificates: Certificates) -> None:
    def echo(address: Address, title: str, *tls: str | Path) -> str:
        finished = run_scu("echoscu", address, called="PACS", options=["-aet", title, *tls])
        return "" if finished.status == 0 else finished.output

    shown = tls_options(certificates, certificates.client)
    assert "Association Rejected" in echo(chain.remote.address, "VIEWER", *shown)  # it was TLS, and then no login
    assert "Association Rejected" in echo(chain.egress.address, "STRANGER")
    secured = list(chain.egress.server.bound.values())[1]
    stranger = tls_options(certificates, certificates.stranger)
    assert "Peer aborted" in echo(secured, "STRANGER", *stranger)
    assert "client_ca" in chain.egress.wait_for("Refused", listener="secured")[0]["reason"]
    assert chain.between.taken() == []
    assert echo(chain.egress.address, "VIEWER") == ""
    assert echo(secured, "STRANGER", *shown) == ""  # there a certificate counts, and no AE title
    assert len(chain.between.taken()) == 2


@pytest.mark.parametrize("chain", [("dcmqrscp", passcode)], indirect=True)
def test_a_new_passcode_in_the_file_counts_at_once(chain: Chain) -> None:
    file = Path(chain.egress.tables["credential"][0]["passcode_file"])
    for written, expected in ((WRONG, False), (ALICE, True)):
        file.write_bytes(written)
        assert dcmtk(chain.egress.address, chain.hospital.work("VIEWER"), ["echo"]) == {"echo": expected}
    assert chain.remote.reasons("reject") == ["wrong passcode"]
