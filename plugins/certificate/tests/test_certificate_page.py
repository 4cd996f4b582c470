"""docs/certificate.md says what the keys and the kinds of names are, and its table makes an authenticator."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_args

import pytest
from cryptography.x509 import DNSName

from dicomgate import Accept
from dicomgate.testing import ask, attempt
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.system_gateway import StartGateway
from dicomgate_certificate import Certificate, Device
from dicomgate_certificate.authenticator import _LONGEST_USER
from dicomgate_certificate.names import Kind, spelled
from plugins.certificate.tests.issued import issue

PAGE = Path(__file__).parents[3] / "docs" / "certificate.md"
TEXT = PAGE.read_text("utf-8")
SHOWN = tomllib.loads(TEXT.partition("```toml\n")[2].partition("```")[0])
(TABLE,) = SHOWN["authenticator"]
DEFAULTS = {"empty": {}, "none": None, "`[]`": (), '`"reject"`': "reject"}


def _rows(head: str) -> list[list[str]]:
    table = re.search(rf"^\| {re.escape(head)} \|.*\n\| ---.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in row.strip("| \n").split(" | ")] for row in table[1].splitlines()]


def test_every_key_and_its_default() -> None:
    shown = {row[0].strip("`"): DEFAULTS[row[2]] for row in _rows("key")}
    made = {
        one.name: one.default if one.default_factory is MISSING else one.default_factory()
        for one in fields(Certificate)
        if one.init
    }
    assert shown == made


def test_every_kind_of_name() -> None:
    rows = [(row[0].strip("`"), row[1].strip("`")) for row in _rows("kind")]
    assert tuple(kind for kind, _ in rows) == get_args(Kind)
    for kind, example in rows:
        assert spelled(example.replace("...", "0" * 60)).startswith(f"{kind}:")


def test_the_figures() -> None:
    assert f"at most {_LONGEST_USER} characters" in " ".join(TEXT.split())


def test_the_devices_of_the_page() -> None:
    devices = {name: Device(**device) for name, device in TABLE["certificates"].items()}
    certificate = issue(names=[DNSName("ct-1.hospital.example")])
    (decision,) = ask(Certificate(certificates=devices), attempt(certificate=certificate))
    assert isinstance(decision, Accept)
    assert (decision.user, decision.groups) == ("ct-1", {"ct", "modalities"})


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
    assert "dicomgate ask --certificate ct-1.pem\n" in TEXT
    program = [sys.executable, "-c", "from dicomgate.cli import main; main()"]
    command = ["ask", "--certificate", certificates.client.certificate, "--config", running.folder / "dicomgate.toml"]
    asked = subprocess.run([*program, *command], capture_output=True, text=True, check=False)
    assert asked.returncode == (0 if user_from else 1), asked.stdout + asked.stderr
