"""docs/certificate.md says what the keys and the kinds of names are, and its table makes an authenticator."""

from __future__ import annotations

import subprocess
from typing import get_args

import pytest
from cryptography.x509 import DNSName

import dicomgate_certificate
from dicomgate import Accept
from dicomgate.kit.text import LONGEST_NAME
from dicomgate.testing import ask, attempt, pages
from dicomgate.testing.commandline import DICOMGATE
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.system_gateway import StartGateway
from dicomgate_certificate import Certificate, Device
from dicomgate_certificate.names import Kind, spelled
from plugins.certificate.tests.issued import issue

PAGE = pages.DOCS / "certificate.md"
(SHOWN,) = pages.configurations(PAGE)
(TABLE,) = SHOWN["authenticator"]


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_certificate
    keys = (Keys(Certificate),)
    logs = False


def test_every_kind_of_name() -> None:
    rows = [(row[0].strip("`"), row[1].strip("`")) for row in pages.table(PAGE, "kind")]
    assert tuple(kind for kind, _ in rows) == get_args(Kind)
    for kind, example in rows:
        assert spelled(example.replace("...", "0" * 60)).startswith(f"{kind}:")


def test_the_figures() -> None:
    assert f"at most {LONGEST_NAME} characters" in pages.words(PAGE)


def test_the_devices_of_the_page() -> None:
    devices = {name: Device(**device) for name, device in TABLE["certificates"].items()}
    certificate = issue(names=[DNSName("ct-1.hospital.example")])
    (decision,) = ask(Certificate(certificates=devices), attempt(certificate=certificate))
    assert isinstance(decision, Accept)
    assert (decision.user, decision.groups) == ("ct-1", frozenset({"ct", "modalities"}))


@pytest.mark.parametrize("user_from", [None, "dns"])
def test_the_configuration_of_the_page(
    gateway: StartGateway, certificates: Certificates, user_from: str | None
) -> None:
    (listener,) = SHOWN["listener"]
    server = certificates.server
    tls = {"certificate": server.certificate, "key": server.key, "client_ca": certificates.ca}
    more = {"user_from": user_from, "groups": ["all"]} if user_from else {}
    running = gateway(
        {**SHOWN, "listener": [{**listener, "bind": f"{HOST}:0", "tls": tls}], "authenticator": [TABLE | more]}
    )
    # `user_from` finds the name of the test's certificate; the table of the page does not know it.
    assert "dicomgate ask --certificate ct-1.pem\n" in pages.text(PAGE)
    command = ["ask", "--certificate", certificates.client.certificate, "--config", running.folder / "dicomgate.toml"]
    asked = subprocess.run([*DICOMGATE, *map(str, command)], capture_output=True, text=True, check=False)
    assert asked.returncode == (0 if user_from else 1), asked.stdout + asked.stderr
