"""docs/network.md says what the keys are, what is decided and what is logged, and its table makes an authenticator."""

from __future__ import annotations

import re
import subprocess

import pytest

import dicomgate_network
from dicomgate import Accept, Decision, Reject
from dicomgate.testing import ask, attempt, pages
from dicomgate.testing.commandline import DICOMGATE
from dicomgate.testing.page_contract import AuthenticatorPage, Keys
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.system_gateway import StartGateway
from dicomgate_network import Device, Network

PAGE = pages.DOCS / "network.md"
(SHOWN,) = pages.configurations(PAGE)


class TestPage(AuthenticatorPage):
    page, package = PAGE, dicomgate_network
    keys = (Keys(Network), Keys(Device, "key of a device"))


@pytest.fixture
def network() -> Network:
    (table,) = SHOWN["authenticator"]
    return Network(devices={title: Device(**device) for title, device in table["devices"].items()})


@pytest.mark.parametrize(
    ("title", "address", "user"),
    [
        ("CT1", "10.1.2.9", "CT1"),
        ("MR 1", "10.1.3.7", "mr-1"),
        ("MR 1", "2001:db8:1::9", "mr-1"),
        ("DEMO", "10.9.9.9", "DEMO"),
    ],
)
def test_the_devices_of_the_page(network: Network, title: str, address: str, user: str) -> None:
    (decision,) = ask(network, attempt(calling_ae_title=title, address=address))
    assert isinstance(decision, Accept)
    assert decision.user == user


def test_the_reasons_of_the_page(network: Network) -> None:
    unknown, elsewhere = (attempt(calling_ae_title=title, address="10.9.9.9") for title in ("CT9", "CT1"))
    decisions: list[Decision] = list(ask(network, unknown, elsewhere))
    shown = [re.search("`(.*)`", row[1]) for row in pages.table(PAGE, "the request")]
    assert decisions == [Reject(reason[1]) for reason in shown if reason]


def test_the_configuration_of_the_page(gateway: StartGateway) -> None:
    (listener,) = SHOWN["listener"]
    running = gateway({**SHOWN, "listener": [{**listener, "bind": f"{HOST}:0"}]})
    ((_, message),) = pages.table(PAGE, "level")
    assert message.strip("`") in running.log()
    told = running.folder / "dicomgate.toml"
    shown = re.search("^dicomgate (ask .* )10.1.2.9$", pages.text(PAGE), re.MULTILINE)
    assert shown
    for address, status in (("10.1.2.9", 0), ("10.9.9.9", 1)):
        command = [*shown[1].split(), address]
        asked = subprocess.run(
            [*DICOMGATE, *command, "--config", str(told)], capture_output=True, text=True, check=False
        )
        assert asked.returncode == status, asked.stdout + asked.stderr
